"""One outside world each, behind a protocol of core's `ports.py`. An adapter knows core and kit, never a service or a
sibling."""
