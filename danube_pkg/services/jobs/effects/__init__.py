"""Performs what jobs owe: a handler for each kind of effect, one module each, and the performer that runs them.

A new kind is a member of `EffectKind`, one module here, and one line in `bootstrap/engine.py`.
"""
