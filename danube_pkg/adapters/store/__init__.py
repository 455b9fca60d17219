"""SQLite: one noun a file. The only place that knows SQL."""
