"""How Danube is built: what is generated is up to date, what is packed works."""
