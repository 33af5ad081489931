"""What costs most for each photo: tag rows without look-ups, and hot tables vacuumed early."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TAG_TABLES = ("photo_tag", "listing_tag", "related_tag")
_REFERENCES = {"tag_id": "tag", "model_id": "model"}
#: A fiftieth of a large table changes within minutes while a backlog is worked off.
_VACUUM = {
    "autovacuum_vacuum_scale_factor": "0.02",
    "autovacuum_vacuum_threshold": "5000",
    "autovacuum_analyze_scale_factor": "0.05",
}


def upgrade() -> None:
    """Makes the change. Workers of the version before go on as they were."""
    # In the order in which a worker that stores tags locks them.
    op.execute("LOCK TABLE model, tag, photo_tag, listing_tag, related_tag")
    for table in _TAG_TABLES:
        for column in _REFERENCES:
            op.drop_constraint(op.f(f"fk_{table}_{column}"), table, type_="foreignkey")
    options = ", ".join(f"{name} = {value}" for name, value in _VACUUM.items())
    for table in ("photo", "listing"):
        op.execute(f"ALTER TABLE {table} SET ({options})")


def downgrade() -> None:
    """Takes it back."""
    for table in ("photo", "listing"):
        op.execute(f"ALTER TABLE {table} RESET ({', '.join(_VACUUM)})")
    for table in _TAG_TABLES:
        for column, target in _REFERENCES.items():
            name = op.f(f"fk_{table}_{column}")
            op.create_foreign_key(name, table, target, [column], ["id"], postgresql_not_valid=True)
            op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
