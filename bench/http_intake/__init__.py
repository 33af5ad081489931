"""Signed events over HTTP by the hundred thousand, while intake and relay are killed."""
