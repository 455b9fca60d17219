"""The composition root in parts: each builds or opens one subsystem from the parts before it and returns a typed
object.

`build_*` makes objects, `open_*` also starts what runs and stops it at the end of its block. No rules are decided here.
"""
