"""What a long backlog costs: the same work before a million due photos as before ten thousand."""
