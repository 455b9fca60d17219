"""The job engine: scheduler, active jobs, effects, steps, reconciler of pods, and what clients request."""
