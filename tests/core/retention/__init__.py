"""Tests of `danube_pkg.core.retention`."""
