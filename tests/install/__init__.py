"""The installation: its plan and steps, against a machine that records calls."""
