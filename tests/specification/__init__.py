"""The specification's own files, which must work as they are, and their tests."""
