"""Repository URLs, forges, credentials and revisions. No Git."""
