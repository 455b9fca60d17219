"""Hand-written stand-ins for outside worlds. Each is held to the contract suite of its port, so that it cannot drift."""
