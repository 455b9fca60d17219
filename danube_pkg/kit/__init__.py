"""No Danube words: clock, tasks, backoff, atomic files, locks. What stands here could be published on its own."""
