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
    op.create_table(
        "photo_fingerprint",
        sa.Column("photo_id", sa.BigInteger(), nullable=False),
        sa.Column("listing_id", sa.BigInteger(), nullable=False),
        sa.Column("phash", sa.BigInteger(), nullable=False),
        sa.Column(
            "keys",
            postgresql.ARRAY(sa.Integer()),
            nullable=False,
            comment="parts of the hash with their place; copies share one at least",
        ),
        sa.ForeignKeyConstraint(
            ["photo_id"],
            ["photo.id"],
            name=op.f("fk_photo_fingerprint_photo_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("photo_id", name=op.f("pk_photo_fingerprint")),
    )
    op.create_index(
        "ix_photo_fingerprint_keys", "photo_fingerprint", ["keys"], postgresql_using="gin"
    )


def downgrade() -> None:
    """Takes it back."""
    op.drop_table("photo_fingerprint")
    op.alter_column("listing_flag", "subject", comment=_SUBJECT)
    op.drop_column("listing_flag", "shadow")
    op.drop_column("photo", "phash")
