"""HTTP servers, bounded in all that a client can do to them. Needs uvicorn, of an extra."""
