"""The file system of the data directory, as the operating system reports it."""
