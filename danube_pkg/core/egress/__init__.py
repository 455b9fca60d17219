"""What a pod may reach: the allowlist, decisions, the ledger, and the parsers that decisions need. No sockets."""
