"""What flags are made of: how photos look, and whether a flag is only noted."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_SUBJECT = "the seller's tag, or ''"


def upgrade() -> None:
    """Makes the change. Processes of the version before write photos without a hash."""
    op.add_column(
        "photo",
        sa.Column(
            "phash",
            sa.BigInteger(),
            nullable=True,
            comment="perceptual hash, 64 bits: copies of a photo differ in few",
        ),
    )
    op.add_column(
        "listing_flag",
        sa.Column(
            "shadow",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="only noted: no document mentions it",
        ),
    )
    op.alter_column(
        "listing_flag",
        "subject",
        comment="the tag or the earlier listing that it is about, or ''",
        existing_comment=_SUBJECT,
    )
    op.create_index(
        "ix_listing_flag_reused",
        "listing_flag",
        ["subject"],
        postgresql_where=sa.text("kind = 'reused_photo'"),
    )
    op.create_table(
        "photo_fingerprint",
        sa.Column("phash", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "keys",
            postgresql.ARRAY(sa.Integer()),
            nullable=False,
            comment="parts of the hash with their place; copies share one at least",
        ),
        sa.PrimaryKeyConstraint("phash", name=op.f("pk_photo_fingerprint")),
    )
    op.create_index(
        "ix_photo_fingerprint_keys",
        "photo_fingerprint",
        ["keys"],
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
    )
    op.create_table(
        "listing_fingerprint",
        sa.Column("listing_id", sa.BigInteger(), nullable=False),
        sa.Column("phash", sa.BigInteger(), nullable=False),
        sa.Column(
            "since",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when a photo that looks so was first recorded under the listing",
        ),
        sa.ForeignKeyConstraint(
            ["listing_id"],
            ["listing.id"],
            name=op.f("fk_listing_fingerprint_listing_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("listing_id", "phash", name=op.f("pk_listing_fingerprint")),
    )
    op.create_index(
        op.f("ix_listing_fingerprint_phash_since_listing_id"),
        "listing_fingerprint",
        ["phash", "since", "listing_id"],
    )


def downgrade() -> None:
    """Takes it back."""
    op.drop_table("listing_fingerprint")
    op.drop_table("photo_fingerprint")
    op.drop_index("ix_listing_flag_reused", table_name="listing_flag")
    op.alter_column("listing_flag", "subject", comment=_SUBJECT)
    op.drop_column("listing_flag", "shadow")
    op.drop_column("photo", "phash")
