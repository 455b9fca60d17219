"""Job logs: the index format, lines by number, redaction of secrets in a stream."""
