"""HTTP/1.1 with h11: handlers in the manner of http.server behind one table of routes."""
