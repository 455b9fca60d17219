"""The commands, by use: what `danube --help` lists. Each is a module of `danube_pkg.cli.commands` with `arguments` and `main`."""

COMMANDS: tuple[tuple[str, str], ...] = (
    ("run", "run the danubefile of this directory here, without a server"),
    ("serve", "run the server"),
    ("init", "write a danubefile for this repository, or a starter configuration"),
    ("validate", "check a configuration or a danubefile, here, without a server"),
    ("config", "show what configuration is in force; look at its repository now"),
    ("trigger", "start a job of a pipeline"),
    ("jobs", "list jobs, newest first"),
    ("logs", "print a job's log, or follow it"),
    ("cancel", "end a job that has not ended"),
    ("rerun", "run a job's commit again"),
    ("approve", "let a job of strangers' code run"),
    ("explain", "why a job waits, or why it failed"),
    ("artifacts", "list and download what jobs kept"),
    ("secrets", "set, list and remove secrets"),
    ("image", "load, pull, list and remove images"),
    ("pipelines", "list the pipelines of the configuration"),
    ("login", "log in at a server elsewhere"),
    ("token", "make, list and revoke API tokens"),
    ("whoami", "whom the server takes you for"),
    ("deliveries", "what arrived, and why it started jobs or did not"),
    ("audit", "who did what"),
    ("drain", "let the server take no new work"),
    ("resume", "let the server take work again"),
    ("keys", "print the server's public keys"),
    ("doctor", "check whether this machine can run jobs"),
    ("completion", "make a shell complete danube's words"),
    ("version", "print the version"),
)
"""(command, help)."""


def module_of(command: str) -> str:
    """The name of the module that has a command."""
    return f"danube_pkg.cli.commands.{command}"
