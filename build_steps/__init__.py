"""How each artifact is built; `build.py` calls these."""
