"""Pods, the supervisor protocol and the port of runtimes."""
