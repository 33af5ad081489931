"""Photos over HTTP, from nobody but whom we should talk to."""
