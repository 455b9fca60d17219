"""What must be reported when a job changes: the rules, the outbox and the text of messages."""
