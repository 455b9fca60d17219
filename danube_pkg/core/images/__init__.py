"""Images: references, manifests, users inside an image, configuration of registries, ports. No downloads."""
