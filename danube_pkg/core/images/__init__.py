"""Image references, manifests, registries and users inside an image. No downloads."""
