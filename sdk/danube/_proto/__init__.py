"""Generated from proto/danube/v1 by `make proto`; do not edit."""
