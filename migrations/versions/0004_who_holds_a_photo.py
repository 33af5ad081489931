"""Who holds a photo, so that what a dead process held is taken back before its lease ends."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the change. Workers of the version before go on as they were."""
    op.add_column(
        "photo",
        sa.Column(
            "holder",
            sa.BigInteger(),
            nullable=True,
            comment="worker process that claimed it, in all its lives",
        ),
    )


def downgrade() -> None:
    """Takes it back."""
    op.drop_column("photo", "holder")
