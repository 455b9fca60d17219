"""The job engine: scheduler, active jobs with their tasks, effects, followers of steps, reconciler of pods,
requests."""
