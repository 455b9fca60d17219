"""The commands in the order of `danube --help`. Each is a module of `danube_pkg.cli.commands` with `arguments` and
`main`."""

COMMANDS: tuple[tuple[str, str], ...] = (
    ("run", "run the danubefile of this directory on this machine, without a server"),
    ("serve", "run the server"),
    ("init", "write a danubefile for this repository, or a starter configuration"),
    ("migrate-from", "write a danubefile from a workflow of GitHub Actions, GitLab CI or Woodpecker"),
    ("validate", "check a configuration or a danubefile, without a server"),
    ("config", "show the state of the configuration; read its repository now"),
    ("trigger", "start a job of a pipeline"),
    ("jobs", "list jobs, newest first"),
    ("logs", "print a job's log, or follow it"),
    ("cancel", "cancel a job that has not ended"),
    ("rerun", "run a job again for the same commit"),
    ("rebuild", "build a job's outputs again and compare"),
    ("approve", "approve an environment that a job waits for, or the commit of untrusted code"),
    ("shell", "open a shell in the kept pod of a failed job"),
    ("explain", "explain why a job waits, or why it failed"),
    ("artifacts", "list and download artifacts of jobs"),
    ("caches", "list and remove the caches of a pipeline"),
    ("verify", "check files against their provenance, without a server"),
    ("secrets", "set, list and remove secrets"),
    ("image", "load, pull, list and remove images"),
    ("pipelines", "list the pipelines of the configuration"),
    ("login", "log in at a server on another machine"),
    ("token", "create, list and revoke API tokens"),
    ("users", "list users, and unbind an account of an issuer"),
    ("sessions", "list your sessions; end those of a user"),
    ("whoami", "show who you are for the server"),
    ("deliveries", "list webhook deliveries and other events, and what became of them"),
    ("forge", "check what is missing at the forges of the pipelines' repositories"),
    ("audit", "list who did what, or check that the audit log is complete"),
    ("health", "show whether the server can do its work, and what it has repaired"),
    ("drain", "let the server start no new jobs"),
    ("resume", "let the server start jobs again"),
    ("backup", "back up a server's data, also while it runs"),
    ("restore", "restore a backup into an empty directory"),
    ("migrate", "bring the database of a stopped server up to this version"),
    ("check-upgrade", "check whether a server is ready for an upgrade"),
    ("install", "make Danube a service of this machine"),
    ("upgrade", "make another program the server"),
    ("uninstall", "take an installation away"),
    ("reap", "remove old logs and artifacts now, or list them"),
    ("keys", "print the server's public keys"),
    ("doctor", "check whether this machine can run jobs"),
    ("selftest", "run real jobs on a server of its own while it is killed, and check what must hold"),
    ("completion", "print a script that lets a shell complete danube's commands"),
    ("version", "print the version"),
)
"""(command, help text)."""


def module_of(command: str) -> str:
    """The name of a command's module."""
    return f"danube_pkg.cli.commands.{command.replace('-', '_')}"
