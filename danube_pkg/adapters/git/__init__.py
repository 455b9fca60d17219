"""Sources of code: Git repositories, plain directories, working trees. dulwich runs only in worker processes."""
