"""Job logs: the format of the index, lines by number, masking of secrets in a stream. Nothing here opens a file."""
