"""Use cases over the real store and logs, a fake machine, and no server."""
