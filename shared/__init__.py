"""What the producer and the worker both speak."""
