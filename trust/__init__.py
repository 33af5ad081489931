"""Flags listings whose words or photos do not look honest, for people to look at."""
