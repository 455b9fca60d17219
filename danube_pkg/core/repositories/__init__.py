"""Repositories: their URLs, forges, credentials and revisions. Nothing here runs Git."""
