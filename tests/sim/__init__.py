"""Seeded runs of the real engine on a virtual clock, its process killed at any moment.

`simulation.py` is the entry: one seed, one run, and at its end every promise of `invariants.py` is checked.
"""
