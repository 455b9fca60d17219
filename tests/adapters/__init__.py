"""Adapters against the real thing they adapt."""
