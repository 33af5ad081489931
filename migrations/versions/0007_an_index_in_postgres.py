"""An index in Postgres, how far followers of the feed have come; lanes of rejected events."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the change. Processes of the version before do not know the tables."""
    now = sa.text("now()")
    op.add_column(
        "search_feed",
        sa.Column(
            "aggregatetype",
            sa.Text(),
            server_default="listing",
            nullable=False,
            comment="what Debezium's outbox event router routes by",
        ),
    )
    op.add_column(
        "rejected_event",
        sa.Column(
            "backfill",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="its photos belong behind all new ones",
        ),
    )
    op.create_table(
        "search_document",
        sa.Column("listing_id", sa.Text(), nullable=False),
        sa.Column("doc_version", sa.BigInteger(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column(
            "tags",
            postgresql.ARRAY(sa.Text()),
            nullable=False,
            comment="read off its photos, the best first",
        ),
        sa.Column("seller_tags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("related_tags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column(
            "words",
            postgresql.TSVECTOR(),
            nullable=False,
            comment="weighted: A tags, B title, C seller's tags, D related tags",
        ),
        sa.Column("indexed_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.PrimaryKeyConstraint("listing_id", name=op.f("pk_search_document")),
    )
    op.create_index(
        "ix_search_document_words", "search_document", ["words"], postgresql_using="gin"
    )
    op.create_index("ix_search_document_tags", "search_document", ["tags"], postgresql_using="gin")
    op.create_table(
        "feed_cursor",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_feed_cursor")),
    )
    op.create_table(
        "feed_refusal",
        sa.Column("name", sa.Text(), nullable=False, comment="of the follower"),
        sa.Column("listing_id", sa.Text(), nullable=False),
        sa.Column("doc_version", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("refused_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.PrimaryKeyConstraint("name", "listing_id", name=op.f("pk_feed_refusal")),
    )


def downgrade() -> None:
    """Takes it back."""
    for table in ("feed_refusal", "feed_cursor", "search_document"):
        op.drop_table(table)
    op.drop_column("rejected_event", "backfill")
    op.drop_column("search_feed", "aggregatetype")
