"""The configuration sync: read, validate, compare, apply."""
