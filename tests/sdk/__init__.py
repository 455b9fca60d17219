"""Tests of the SDK that danubefiles import: by mypy, as in an editor, and against a session in memory."""
