"""The composition root, in parts: each opens what one subsystem needs and returns one typed object. No rules here."""
