"""The HTTP edge over real stores, logs and sockets; only the runtime is idle, so that jobs stay as a test puts them."""
