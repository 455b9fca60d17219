"""Metrics: their definitions, from which the endpoint, the documents, the dashboard and the alerts are made, and what
collects them."""
