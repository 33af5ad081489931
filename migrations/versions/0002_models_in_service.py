"""Models in service: where they lie, their decisions, their promotions, their shadows."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the change. Workers of the version before go on as they were."""
    op.add_column(
        "model",
        sa.Column("location", sa.Text(), nullable=True, comment="folder or URL of its artifact"),
    )
    op.add_column(
        "model",
        sa.Column(
            "manifest_sha256", sa.Text(), nullable=True, comment="of the artifact registered"
        ),
    )
    op.add_column(
        "model",
        sa.Column(
            "shadow_share",
            sa.REAL(),
            nullable=True,
            comment="share of live photos it scores beside the champion",
        ),
    )
    op.add_column(
        "photo",
        sa.Column(
            "decision_id",
            sa.Integer(),
            nullable=True,
            comment="the decision that made its tags out of its scores",
        ),
    )
    op.create_table(
        "decision",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="1, 2, 3, ... of its model"),
        sa.Column(
            "content",
            postgresql.JSONB(),
            nullable=False,
            comment="vocabulary, thresholds and related-tag matrix: from scores to tags",
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="where it came from, in words"),
        sa.Column(
            "active",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="the model's scores become tags by this one",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_decision_model_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision")),
        sa.UniqueConstraint("model_id", "number", name=op.f("uq_decision_model_id_number")),
    )
    op.create_index(
        "ix_decision_active",
        "decision",
        ["model_id"],
        unique=True,
        postgresql_where=sa.text("active"),
    )
    op.execute("""
        INSERT INTO decision (model_id, number, content, reason, active)
        SELECT id, 1, decision, 'its artifact', true FROM model
    """)
    op.create_table(
        "promotion",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("previous_id", sa.Integer(), nullable=True, comment="the champion before it"),
        sa.Column("kind", sa.Text(), nullable=False, comment="what allowed it"),
        sa.Column(
            "gate", postgresql.JSONB(), nullable=False, comment="the numbers it was decided by"
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "kind IN ('first', 'gate', 'forced', 'rollback')", name=op.f("ck_promotion_kind")
        ),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_promotion_model_id")),
        sa.ForeignKeyConstraint(
            ["previous_id"], ["model.id"], name=op.f("fk_promotion_previous_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotion")),
    )
    op.execute("""
        INSERT INTO promotion (model_id, kind, gate, created_at)
        SELECT id, 'first', '{}', created_at FROM model WHERE status = 'champion'
    """)
    op.create_table(
        "shadow_score",
        sa.Column("photo_id", sa.BigInteger(), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column(
            "scores",
            sa.ARRAY(sa.REAL()),
            nullable=False,
            comment="every score, in the order of the model's vocabulary",
        ),
        sa.Column(
            "made_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_shadow_score_model_id")),
        sa.ForeignKeyConstraint(
            ["photo_id"], ["photo.id"], name=op.f("fk_shadow_score_photo_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("photo_id", "model_id", name=op.f("pk_shadow_score")),
    )


def downgrade() -> None:
    """Takes it back."""
    op.drop_table("shadow_score")
    op.drop_table("promotion")
    op.drop_index("ix_decision_active", table_name="decision", postgresql_where=sa.text("active"))
    op.drop_table("decision")
    op.drop_column("photo", "decision_id")
    op.drop_column("model", "shadow_share")
    op.drop_column("model", "manifest_sha256")
    op.drop_column("model", "location")
