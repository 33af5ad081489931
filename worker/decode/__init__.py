"""From the bytes of a photo to the pixels of a network."""
