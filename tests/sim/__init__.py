"""Seeded runs of the real engine on a virtual clock, with crashes at any moment.

`simulation.py` is the entry: one seed gives one run, and every invariant of `invariants.py` is checked at its end.
"""
