"""A whole marketplace on one machine: servers, sample photos, an origin, the demo."""
