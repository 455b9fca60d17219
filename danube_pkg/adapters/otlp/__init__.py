"""Sends spans and metrics to a receiver of OpenTelemetry's protocol."""
