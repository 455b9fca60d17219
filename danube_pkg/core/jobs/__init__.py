"""The life of a job: states, transitions, queue, steps, effects. Most of the engine's correctness is proven here."""
