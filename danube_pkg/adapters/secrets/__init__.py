"""Places outside of Danube that have values of secrets: files, and servers with HashiCorp's KV engine."""
