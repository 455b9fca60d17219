"""What runs inside a pod: the danubefile's end as one sentence, and the source's way into the workspace."""
