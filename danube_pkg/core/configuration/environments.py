"""Environments of a pipeline: what its jobs act on only after an approval, and who may approve."""

from collections.abc import Mapping
from typing import Annotated

from danube_pkg.core.documents import patterns
from danube_pkg.core.documents.marked import rule
from danube_pkg.core.pipelines import Environment
from danube_pkg.kit.records import Record


class EnvironmentSpec(Record):
    """What jobs act on after an approval, such as production."""

    approvers: Annotated[
        tuple[str, ...],
        rule(
            "Who may approve: names of teams, addresses of users, or local-administrator for the owner of the server's unix"
            " socket. Any one of them is enough.",
            pattern=rf"({patterns.NAME}|{patterns.EMAIL})",
            expects="the name of a team or the address of a user",
            example="release-managers",
            most=100,
        ),
    ]
    refs: Annotated[
        tuple[str, ...],
        rule(
            "Branches whose jobs may ask for it, with * and ** as wildcards; a tag in full: refs/tags/v*. Empty: every branch"
            " and tag. Untrusted pull requests never may.",
            **(patterns.branch | {"expects": "the name of a branch, or refs/tags/NAME, with * and ** as wildcards"}),
        ),
    ] = ()
    secrets: Annotated[
        tuple[str, ...],
        rule(
            "Secrets of the pipeline, or of all pipelines, that its jobs read only after the approval.",
            pattern=r"[A-Za-z_][A-Za-z0-9_.-]{0,127}",
            expects="the name of a Danube secret, not its value",
            example="DEPLOY_KEY",
            most=100,
        ),
    ] = ()
    self_approval: Annotated[bool, rule("Whether the user who started the job may approve it too.")] = False
    timeout_seconds: Annotated[
        int,
        rule(
            "How long a job waits for the decision, unless it asks for less.",
            at_least=1,
            at_most=30 * 86400,
            unit="seconds",
        ),
    ] = 86400


def environments_of(specs: Mapping[str, EnvironmentSpec]) -> tuple[Environment, ...]:
    """As the engine uses them, by name."""
    return tuple(
        Environment(
            name=name,
            approvers=tuple(one.lower() if "@" in one else one for one in spec.approvers),
            refs=spec.refs,
            secrets=spec.secrets,
            self_approval=spec.self_approval,
            timeout_seconds=spec.timeout_seconds,
        )
        for name, spec in sorted(specs.items())
    )
