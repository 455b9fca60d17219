"""One file a noun: its endpoints. A resource parses, calls one service and renders."""
