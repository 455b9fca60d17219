"""Images, against a real registry on the loopback and against what other tools make of the same images."""
