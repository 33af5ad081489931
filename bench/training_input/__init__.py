"""How fast photos come in for a training: downloaded to shards, and as batches for a network."""
