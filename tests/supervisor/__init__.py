"""The supervisor as real processes in a real PID namespace."""
