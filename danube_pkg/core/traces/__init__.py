"""Traces: the spans of jobs and requests, derived from what is stored."""
