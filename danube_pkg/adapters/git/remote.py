"""How the worker connects to a remote repository. Credentials reach it on its standard input and in no other way."""

from collections.abc import Mapping, Sequence
from typing import Any

from danube_pkg.core.repositories.revisions import Credential, GitProgram
from danube_pkg.kit.records import Record, field

REDIRECTED = "source-redirected"
"""The reference of the error of a repository with `one_host` that redirects to another host."""


class RemoteSettings(Record):
    """The settings for one repository.

    credential: for this repository; known_hosts: files of ssh host keys beside the system's; program: what fetches;
    one_host: redirects to another host are refused, since only this one was decided about; addresses: the only ones at
    which the host is contacted, since only these were decided about, () for whatever it has. Only dulwich obeys those.
    """

    credential: Credential = field(default_factory=Credential)
    known_hosts: tuple[str, ...] = ()
    program: GitProgram = GitProgram.DULWICH
    one_host: bool = False
    addresses: tuple[str, ...] = ()

    def request(self) -> dict[str, Any]:
        """The settings as JSON, for the worker."""
        one = self.credential
        return {
            "rule": one.rule,
            "username": one.username,
            "password": one.password,
            "private_key": one.private_key,
            "private_key_path": one.private_key_path,
            "known_hosts": list(self.known_hosts),
            "program": str(self.program),
            "one_host": self.one_host,
            "addresses": list(self.addresses),
        }

    @classmethod
    def from_request(cls, fields: Mapping[str, Any]) -> "RemoteSettings":
        """The settings from what `request` returned."""
        names: Sequence[str] = ("rule", "username", "password", "private_key", "private_key_path")
        credential = Credential(*(fields[name] for name in names))
        known_hosts, addresses = tuple(fields["known_hosts"]), tuple(fields["addresses"])
        return cls(credential, known_hosts, GitProgram(fields["program"]), bool(fields["one_host"]), addresses)
