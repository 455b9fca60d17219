"""The outbox: observing job changes and delivering notifications."""
