"""What makes pods. Each runtime implements `core.runtimes.ports.Runtime`; none imports another."""
