"""What starts a job: webhook deliveries, schedules and manual starts, matched against pipelines."""
