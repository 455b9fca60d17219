"""The runtime of clusters; `tests/contract` runs it too, over the fake API server."""
