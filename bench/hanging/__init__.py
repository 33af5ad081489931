"""What photos that hang cost those that do not."""
