"""From a message to tags in Postgres."""
