"""Names and stored forms of secrets, and their ports."""
