"""Reviewers, their sessions and their votes; and flags found by their score."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the change. Processes of the version before do not know the tables."""
    now = sa.text("now()")
    op.create_index(
        op.f("ix_listing_flag_score_listing_id"), "listing_flag", ["score", "listing_id"]
    )
    op.create_index(
        op.f("ix_listing_flag_kind_score_listing_id"),
        "listing_flag",
        ["kind", "score", "listing_id"],
    )
    op.create_table(
        "reviewer",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_sha256", sa.LargeBinary(), comment="null: may not sign in"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reviewer")),
        sa.UniqueConstraint("name", name=op.f("uq_reviewer_name")),
    )
    op.create_table(
        "review_session",
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("reviewer_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_review_session")),
        sa.ForeignKeyConstraint(
            ["reviewer_id"], ["reviewer.id"], name=op.f("fk_review_session_reviewer_id")
        ),
    )
    op.create_index(op.f("ix_review_session_reviewer_id"), "review_session", ["reviewer_id"])
    op.create_table(
        "vote",
        sa.Column("listing_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="'tag', or the flag's kind"),
        sa.Column(
            "subject", sa.Text(), nullable=False, comment="the tag, or what the flag is about"
        ),
        sa.Column("reviewer_id", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column(
            "score",
            sa.REAL(),
            comment="the tag's or flag's at that time; null: a tag that the model did not give",
        ),
        sa.Column(
            "model_id",
            sa.Integer(),
            comment="whose tag it was, or the champion at that time",
        ),
        sa.Column(
            "photos_sha256",
            sa.LargeBinary(),
            comment="of the content_sha256 of the photos that were shown, sorted; null: none",
        ),
        sa.Column(
            "voted_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column(
            "replaced",
            postgresql.JSONB(),
            comment="the reviewer's vote before, which undoing brings back",
        ),
        sa.CheckConstraint("verdict IN ('accept', 'reject')", name=op.f("ck_vote_verdict")),
        sa.PrimaryKeyConstraint(
            "listing_id", "kind", "subject", "reviewer_id", name=op.f("pk_vote")
        ),
        sa.ForeignKeyConstraint(
            ["listing_id"], ["listing.id"], ondelete="CASCADE", name=op.f("fk_vote_listing_id")
        ),
        sa.ForeignKeyConstraint(["reviewer_id"], ["reviewer.id"], name=op.f("fk_vote_reviewer_id")),
    )
    op.create_index(op.f("ix_vote_reviewer_id_voted_at"), "vote", ["reviewer_id", "voted_at"])


def downgrade() -> None:
    """Takes it back."""
    for table in ("vote", "review_session", "reviewer"):
        op.drop_table(table)
    for columns in ("kind_score_listing_id", "score_listing_id"):
        op.drop_index(op.f(f"ix_listing_flag_{columns}"), table_name="listing_flag")
