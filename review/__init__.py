"""Where people look at flagged and uncertain listings, and say what is right."""
