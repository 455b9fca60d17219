"""The record of artifacts and its port."""
