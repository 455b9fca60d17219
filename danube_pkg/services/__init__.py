"""Async use cases and loops over core's ports; they know no adapter and no protocol of the outside."""
