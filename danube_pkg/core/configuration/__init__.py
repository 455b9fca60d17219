"""The configuration: its schema as records, reading and checking documents, the resulting state, differences of two
states.

The schema is defined once, in `config.py`, `people.py`, `pipelines.py`, `notifications.py` and
`core/repositories/git_authentication.py`. Validation, the JSON Schema and the reference page are derived from these
records. Nothing here reads a file.
"""
