"""What decoding costs, and what its short cuts change."""
