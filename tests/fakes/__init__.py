"""Hand-written fakes of ports and of outside programs, one for each.

The runtime, the fake with behaviour of its own, passes the contract suites in `tests/contract` like every other
runtime. Dex is a program whose tests also run against a real one. The others only refuse or return constants.
"""
