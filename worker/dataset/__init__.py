"""From a marketplace's catalogue to labelled photos: rows, downloads, shards."""
