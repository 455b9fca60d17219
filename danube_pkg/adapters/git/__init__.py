"""Where code comes from: Git repositories, plain directories, working trees. All of dulwich runs in a process beside the server."""
