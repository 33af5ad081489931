"""From a marketplace's events to rows, and from rows to messages."""
