"""Retention: which files of ended jobs are removed, when and why; whether the clock can be trusted with that."""
