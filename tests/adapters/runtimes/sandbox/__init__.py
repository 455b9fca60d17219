"""What only the embedded runtime promises: isolation, limits, survival. Each test runs as root and as an ordinary user."""
