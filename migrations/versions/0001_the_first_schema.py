"""The first schema."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the change."""
    op.execute(sa.schema.CreateSequence(sa.Sequence("fencing_token")))
    op.create_table(
        "feed_head",
        sa.Column("only_row", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("only_row", name=op.f("ck_feed_head_only_row")),
        sa.PrimaryKeyConstraint("only_row", name=op.f("pk_feed_head")),
    )
    op.execute("INSERT INTO feed_head (position) VALUES (0)")
    op.create_table(
        "listing",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False, comment="the marketplace's listing_id"),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "seller_tags", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_id", sa.Text(collation="C"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "doc_version",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="version of its newest document in search_feed",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listing")),
        sa.UniqueConstraint("external_id", name=op.f("uq_listing_external_id")),
    )
    op.create_table(
        "model",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="candidate", nullable=False),
        sa.Column("recipe", postgresql.JSONB(), nullable=False, comment="how it was trained"),
        sa.Column("metrics", postgresql.JSONB(), nullable=False),
        sa.Column("dataset_sha256", sa.Text(), nullable=False),
        sa.Column(
            "decision",
            postgresql.JSONB(),
            nullable=False,
            comment="vocabulary, thresholds and related-tag matrix: from scores to tags",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "status IN ('candidate', 'champion', 'retired')", name=op.f("ck_model_status")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model")),
        sa.UniqueConstraint("version", name=op.f("uq_model_version")),
    )
    op.create_table(
        "rejected_event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("line_sha256", sa.LargeBinary(), nullable=False),
        sa.Column(
            "line", sa.Text(), nullable=False, comment="its first 64 KiB; undecodable bytes escaped"
        ),
        sa.Column("line_bytes", sa.BigInteger(), nullable=False, comment="its whole length"),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "source", sa.Text(), nullable=False, comment="file name and line number, as first seen"
        ),
        sa.Column("times", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "first_seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "last_seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rejected_event")),
        sa.UniqueConstraint("line_sha256", name=op.f("uq_rejected_event_line_sha256")),
    )
    op.create_table(
        "search_feed",
        sa.Column(
            "position",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="1, 2, 3, ... in the order of commits",
        ),
        sa.Column("listing_id", sa.Text(), nullable=False, comment="the marketplace's listing_id"),
        sa.Column("doc_version", sa.BigInteger(), nullable=False),
        sa.Column(
            "document", postgresql.JSONB(), nullable=True, comment="null: the listing is gone"
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_search_feed")),
        sa.UniqueConstraint(
            "listing_id", "doc_version", name=op.f("uq_search_feed_listing_id_doc_version")
        ),
    )
    op.create_table(
        "tag",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["parent_id"], ["tag.id"], name=op.f("fk_tag_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tag")),
        sa.UniqueConstraint("name", name=op.f("uq_tag_name")),
    )
    op.create_table(
        "listing_flag",
        sa.Column("listing_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False, comment="the seller's tag, or ''"),
        sa.Column("score", sa.REAL(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["listing_id"],
            ["listing.id"],
            name=op.f("fk_listing_flag_listing_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("listing_id", "kind", "subject", name=op.f("pk_listing_flag")),
    )
    op.create_table(
        "listing_tag",
        sa.Column("listing_id", sa.BigInteger(), nullable=False),
        sa.Column("tag_id", sa.Integer(), nullable=False),
        sa.Column("score", sa.REAL(), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False, comment="1 is the best"),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["listing_id"],
            ["listing.id"],
            name=op.f("fk_listing_tag_listing_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_listing_tag_model_id")),
        sa.ForeignKeyConstraint(["tag_id"], ["tag.id"], name=op.f("fk_listing_tag_tag_id")),
        sa.PrimaryKeyConstraint("listing_id", "tag_id", name=op.f("pk_listing_tag")),
    )
    op.create_index(
        op.f("ix_listing_tag_tag_id_score"), "listing_tag", ["tag_id", "score"], unique=False
    )
    op.create_table(
        "photo",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("listing_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "position", sa.SmallInteger(), nullable=False, comment="order in the listing, from 0"
        ),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("url_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("lane", sa.Text(), server_default="tagging", nullable=False),
        sa.Column(
            "alone",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="it may harm batch mates: worked on by itself",
        ),
        sa.Column("attempt", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("crashes", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column(
            "due_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "token",
            sa.BigInteger(),
            nullable=True,
            comment="fencing token of the claim that holds it",
        ),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_detail", sa.Text(), nullable=True),
        sa.Column("content_sha256", sa.LargeBinary(), nullable=True),
        sa.Column("content_bytes", sa.Integer(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True, comment="pixels"),
        sa.Column("height", sa.Integer(), nullable=True, comment="pixels"),
        sa.Column(
            "scores",
            sa.ARRAY(sa.REAL()),
            nullable=True,
            comment="every score, in the order of the model's vocabulary",
        ),
        sa.Column("model_id", sa.Integer(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("lane IN ('tagging', 'slow', 'backfill')", name=op.f("ck_photo_lane")),
        sa.CheckConstraint(
            "status IN ('pending', 'queued', 'working', 'tagged', 'failed')",
            name=op.f("ck_photo_status"),
        ),
        sa.ForeignKeyConstraint(
            ["listing_id"], ["listing.id"], name=op.f("fk_photo_listing_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_photo_model_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_photo")),
        sa.UniqueConstraint(
            "listing_id", "url_sha256", name=op.f("uq_photo_listing_id_url_sha256")
        ),
    )
    op.create_index(
        "ix_photo_due",
        "photo",
        ["lane", "alone", "due_at"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index(
        "ix_photo_lease",
        "photo",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("status IN ('queued', 'working')"),
    )
    op.create_table(
        "related_tag",
        sa.Column("listing_id", sa.BigInteger(), nullable=False),
        sa.Column("tag_id", sa.Integer(), nullable=False),
        sa.Column("score", sa.REAL(), nullable=False, comment="sum of cosine similarities"),
        sa.Column("rank", sa.SmallInteger(), nullable=False, comment="1 is the best"),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["listing_id"],
            ["listing.id"],
            name=op.f("fk_related_tag_listing_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_related_tag_model_id")),
        sa.ForeignKeyConstraint(["tag_id"], ["tag.id"], name=op.f("fk_related_tag_tag_id")),
        sa.PrimaryKeyConstraint("listing_id", "tag_id", name=op.f("pk_related_tag")),
    )
    op.create_index(op.f("ix_related_tag_tag_id"), "related_tag", ["tag_id"], unique=False)
    op.create_table(
        "training_run",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column(
            "request",
            postgresql.JSONB(),
            nullable=False,
            comment="what to train on, where to, and how",
        ),
        sa.Column("progress", postgresql.JSONB(), nullable=True, comment="stage, epoch, losses"),
        sa.Column("attempt", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("token", sa.BigInteger(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_detail", sa.Text(), nullable=True),
        sa.Column("model_id", sa.Integer(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'queued', 'running', 'succeeded', 'failed')",
            name=op.f("ck_training_run_status"),
        ),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_training_run_model_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_run")),
    )
    op.create_index(
        "ix_training_run_open",
        "training_run",
        ["status"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "photo_tag",
        sa.Column("photo_id", sa.BigInteger(), nullable=False),
        sa.Column("tag_id", sa.Integer(), nullable=False),
        sa.Column("score", sa.REAL(), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False, comment="1 is the best"),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_photo_tag_model_id")),
        sa.ForeignKeyConstraint(
            ["photo_id"], ["photo.id"], name=op.f("fk_photo_tag_photo_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tag_id"], ["tag.id"], name=op.f("fk_photo_tag_tag_id")),
        sa.PrimaryKeyConstraint("photo_id", "tag_id", name=op.f("pk_photo_tag")),
    )
    op.create_index(
        op.f("ix_photo_tag_tag_id_score"), "photo_tag", ["tag_id", "score"], unique=False
    )


def downgrade() -> None:
    """Takes it back."""
    op.drop_index(op.f("ix_photo_tag_tag_id_score"), table_name="photo_tag")
    op.drop_table("photo_tag")
    op.drop_index(
        "ix_training_run_open",
        table_name="training_run",
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.drop_table("training_run")
    op.drop_index(op.f("ix_related_tag_tag_id"), table_name="related_tag")
    op.drop_table("related_tag")
    op.drop_index(
        "ix_photo_lease",
        table_name="photo",
        postgresql_where=sa.text("status IN ('queued', 'working')"),
    )
    op.drop_index(
        "ix_photo_due", table_name="photo", postgresql_where=sa.text("status = 'pending'")
    )
    op.drop_table("photo")
    op.drop_index(op.f("ix_listing_tag_tag_id_score"), table_name="listing_tag")
    op.drop_table("listing_tag")
    op.drop_table("listing_flag")
    op.drop_table("tag")
    op.drop_table("search_feed")
    op.drop_table("rejected_event")
    op.drop_table("model")
    op.drop_table("listing")
    op.drop_table("feed_head")
    op.execute(sa.schema.DropSequence(sa.Sequence("fencing_token")))
