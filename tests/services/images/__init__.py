"""Services about images."""
