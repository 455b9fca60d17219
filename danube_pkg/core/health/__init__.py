"""Conditions and the state of each subsystem."""
