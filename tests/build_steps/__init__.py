"""How Danube is built: generated files are up to date, and packages work."""
