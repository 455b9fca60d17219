"""Sends spans to a receiver of OpenTelemetry's protocol."""
