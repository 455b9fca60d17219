"""Measurements on the real thing, each beside what it is compared with, in one run. `make bench` prints and records
them."""
