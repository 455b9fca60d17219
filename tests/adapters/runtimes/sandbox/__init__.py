"""What only the embedded runtime promises: isolation, limits, survival; run as root and as an ordinary user."""
