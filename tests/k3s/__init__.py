"""The manifests for clusters."""
