"""Ways from inside a job to what is not its own."""
