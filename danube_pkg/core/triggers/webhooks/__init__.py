"""Webhooks as forges send them: whose a delivery is, whether it is authentic, and what it says, as one typed event.

Everything here is pure and takes bytes from strangers: what is not understood becomes a typed refusal, never another error.
"""
