"""The server and the command line of Danube; docs/ARCHITECTURE.md says which package knows what."""
