"""Pure rules of tagging: no database, no queue, no network, no pictures."""
