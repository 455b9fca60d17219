"""Webhook deliveries of forges: which forge sent one, whether its signature is valid, and its content as a typed event.

Everything here is pure and reads untrusted bytes: whatever cannot be parsed raises Invalid, never another exception.
"""
