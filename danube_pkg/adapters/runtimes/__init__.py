"""What makes pods. Each runtime implements `core.ports.Runtime`; none imports another."""
