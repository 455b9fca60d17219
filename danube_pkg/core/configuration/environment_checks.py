"""Checks of a pipeline's environments: names that exist, and secrets that belong to one environment."""

import re
from collections.abc import Mapping

from danube_pkg.core.configuration.declared import DeclaredNames
from danube_pkg.core.configuration.environments import EnvironmentSpec
from danube_pkg.core.configuration.kinds import TypedDocument
from danube_pkg.core.documents import patterns
from danube_pkg.core.documents.marked import Findings, nearest
from danube_pkg.core.identity.access import LOCAL_ADMINISTRATOR

_NAME = re.compile(patterns.NAME)


def check_environments(
    one: TypedDocument, specs: Mapping[str, EnvironmentSpec], names: DeclaredNames, findings: Findings
) -> None:
    """Check them. names: those of all documents, to which approvers refer."""
    owners: dict[str, str] = {}
    for name, spec in specs.items():
        path = f"spec.environments.{name}"
        if not _NAME.fullmatch(name):
            what = f"spec.environments: {name[:80]!r} cannot be the name of an environment"
            findings.add(one.document.place(path), what, hint=f"write {patterns.name['expects']}")
        if not spec.approvers:
            what = f"{path}.approvers is empty, so that no user could approve"
            findings.add(one.document.place(f"{path}.approvers"), what, hint="name a team or the address of a user")
        for index, approver in enumerate(spec.approvers):
            _check_approver(one, f"{path}.approvers[{index}]", approver, names, findings)
        for index, key in enumerate(spec.secrets):
            if (owner := owners.setdefault(key, name)) != name:
                place = one.document.place(f"{path}.secrets[{index}]")
                what = f"{path}.secrets[{index}]: {key!r} is a secret of the environment {owner!r} already"
                findings.add(place, what, hint="give each environment a secret with a name of its own")


def _check_approver(one: TypedDocument, path: str, approver: str, names: DeclaredNames, findings: Findings) -> None:
    if not names.is_whole or approver == LOCAL_ADMINISTRATOR.name:
        return
    place = one.document.place(path)
    if "@" in approver:
        if names.emails and approver.lower() not in names.emails:
            what = f"{path}: there is no user {approver!r}"
            findings.add(place, what, hint=nearest(approver, sorted(names.emails)))
    elif approver not in names.teams:
        hint = nearest(approver, sorted(names.teams)) if names.teams else "add the team to teams.yaml, or name a user"
        findings.add(place, f"{path}: there is no team {approver!r}", hint=hint)
