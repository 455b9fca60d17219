"""What a configuration repository may say and what it means: the schema as dataclasses, reading, checks, state, differences.

The schema is defined once, in `bootstrap/root.py`, `people.py`, `pipelines.py`, `git_authentication.py` and `notifications.py`; the
validation, the JSON Schema and the reference page come from those definitions. Nothing here reads a file.
"""
