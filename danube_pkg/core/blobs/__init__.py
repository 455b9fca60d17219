"""The port for bytes that belong to a job. What they mean (an artifact, a report) is defined by other packages."""
