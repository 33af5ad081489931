"""Which signed requests were taken, so that none is replayed with other content."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the change. Processes of the version before do not know the table."""
    op.create_table(
        "webhook_delivery",
        sa.Column("webhook_id", sa.Text(), nullable=False, comment="mark of the key:webhook-id"),
        sa.Column("content_sha256", sa.LargeBinary(), nullable=False),
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("webhook_id", name=op.f("pk_webhook_delivery")),
    )
    op.create_index(op.f("ix_webhook_delivery_seen_at"), "webhook_delivery", ["seen_at"])


def downgrade() -> None:
    """Takes it back."""
    op.drop_table("webhook_delivery")
