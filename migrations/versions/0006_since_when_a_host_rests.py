"""Since when a photo waits for its host to recover, so that its patience counts from there."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the change. Workers of the version before go on as they were."""
    op.add_column(
        "photo",
        sa.Column(
            "resting_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when it was first sent back because its host rests",
        ),
    )


def downgrade() -> None:
    """Takes it back."""
    op.drop_column("photo", "resting_since")
