"""Tests of `core/schedules`."""
