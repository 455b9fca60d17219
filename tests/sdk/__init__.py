"""What a danubefile imports: checked by mypy as an editor would, and driven against a session written by hand."""
