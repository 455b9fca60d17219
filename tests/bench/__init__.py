"""Tests of the measurements themselves: how two revisions are compared."""
