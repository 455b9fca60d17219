"""What starts jobs: webhook deliveries, schedules and ends of other pipelines; how they are matched with pipelines."""
