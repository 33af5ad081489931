"""From the feed into a search index, and what a person finds in it."""
