"""The HTTP server and its small framework: connections, routing, authorisation, bodies. It imports no resource."""
