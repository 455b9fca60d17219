"""The egress proxy as a process: what it lets out, what it refuses, what it writes down, and whom it outlives."""
