"""Seeded runs of the engine on a virtual clock, the server killed between any two effects; a failure prints its seed."""
