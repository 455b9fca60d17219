"""Build steps, one module for each artifact; `build.py` calls them."""
