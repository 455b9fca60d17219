"""The configuration: what is applied, what is wrong with what was pushed last, and what a change would do."""

from collections.abc import Sequence
from typing import Annotated

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.plan import ConfigurationPlan, describe_change
from danube_pkg.core.configuration.status import ConfigurationStatus
from danube_pkg.core.documents.marked import about
from danube_pkg.core.errors import PlatformError
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.repositories.urls import without_login
from danube_pkg.edges.http.views.forge_links import commit_url, file_url
from danube_pkg.kit.records import Record
from danube_pkg.kit.times import Time, iso_or_none

_SHOWN_ABOVE = {"configuration-unreadable", "configuration-invalid"}
"""Conditions that are in the view already, as its problem and findings."""


class FindingView(Record):
    """One mistake in a file."""

    place: Annotated[str, about("File and line: pipelines/app.yaml:12.")]
    what: Annotated[str, about("What is wrong.")]
    hint: Annotated[str, about("How to fix it; may be empty.")]
    url: Annotated[str, about("The line's page at the forge; empty if it is not known.")] = ""


class ConditionView(Record):
    """What does not work as configured without being a mistake: a secret that is not set, a restart that is needed."""

    reference: Annotated[str, about("A stable name of this kind of condition.")]
    what: Annotated[str, about("What does not work, and why.")]
    hint: Annotated[str, about("How to fix it.")]


class ConfigurationView(Record):
    """The state of the configuration."""

    ok: Annotated[bool, about("True if the newest revision is applied.")]
    repository: Annotated[str, about("The URL of the configuration repository, without credentials.")]
    branch: Annotated[str, about("The branch that is read.")]
    applied_revision: Annotated[str, about("The applied revision; empty before the first.")]
    applied_url: Annotated[str, about("That commit's page at the forge; empty if it is not known.")]
    applied_at: Annotated[Time | None, about("When it was applied; null before the first.")]
    seen_revision: Annotated[str, about("The newest revision that was read, applied or not.")]
    seen_url: Annotated[str, about("That commit's page at the forge; empty if it is not known.")]
    checked_at: Annotated[Time | None, about("When the repository was last read; null before that.")]
    problem: Annotated[FindingView | None, about("Why the repository could not be read; null if it could.")]
    findings: Annotated[tuple[FindingView, ...], about("The mistakes in the newest revision.")]
    conditions: Annotated[tuple[ConditionView, ...], about("What does not work as configured.")]
    deploy_key: Annotated[str, about("The public half of the SSH key with which the server reads repositories.")]


class ChangeView(Record):
    """One object that a configuration would add, change or remove."""

    action: Annotated[str, about("add, change or remove.")]
    kind: Annotated[str, about("The kind: config, user, team or pipeline.")]
    name: Annotated[str, about("The object's name.")]
    lines: Annotated[tuple[str, ...], about("The change in words, one line for each field.")]


class GrantView(Record):
    """A user's permission level on a pipeline that would change."""

    email: Annotated[str, about("The user's address.")]
    pipeline: Annotated[str, about("The pipeline, or `everything` for a global administrator.")]
    before: Annotated[str | None, about("The level now; null for none.")]
    after: Annotated[str | None, about("The level afterwards; null for none.")]


class PlanView(Record):
    """What a configuration would change."""

    ok: Annotated[bool, about("True if there are no findings.")]
    findings: Annotated[tuple[FindingView, ...], about("The mistakes in it; then the other lists are empty.")]
    changes: Annotated[tuple[ChangeView, ...], about("The objects that would change.")]
    grants: Annotated[tuple[GrantView, ...], about("The access that users would gain or lose.")]
    secrets: Annotated[tuple[str, ...], about("Names of secrets that the configuration did not have before.")]


def finding_view(error: PlatformError, url: str = "") -> FindingView:
    """The error with its cause."""
    what = error.what + (f": {error.cause}" if error.cause else "")
    return FindingView(str(error.place or ""), what, error.hint, url)


def configuration_view(
    status: ConfigurationStatus,
    applied: AppliedConfiguration,
    conditions: Sequence[Condition],
    *,
    repository_url: str,
    branch: str,
    deploy_key: str,
) -> ConfigurationView:
    """repository_url: of the configuration repository, as danube.toml has it."""
    return ConfigurationView(
        ok=status.ok,
        repository=without_login(repository_url),
        branch=branch,
        applied_revision=status.applied_revision,
        applied_url=commit_url(repository_url, applied, status.applied_revision),
        applied_at=iso_or_none(status.applied_at),
        seen_revision=status.seen_revision,
        seen_url=commit_url(repository_url, applied, status.seen_revision),
        checked_at=iso_or_none(status.checked_at),
        problem=finding_view(status.problem) if status.problem else None,
        findings=tuple(
            finding_view(one, file_url(repository_url, applied, status.seen_revision, one.place))
            for one in status.findings
        ),
        conditions=tuple(
            ConditionView(one.reference, one.what, one.hint) for one in conditions if one.reference not in _SHOWN_ABOVE
        ),
        deploy_key=deploy_key,
    )


def plan_view(plan: ConfigurationPlan) -> PlanView:
    """The plan in words."""
    return PlanView(
        ok=not plan.findings,
        findings=tuple(map(finding_view, plan.findings)),
        changes=tuple(ChangeView(one.action, one.kind, one.key, describe_change(one)) for one in plan.changes),
        grants=tuple(GrantView(one.email, one.pipeline, one.before, one.after) for one in plan.grants),
        secrets=plan.secrets,
    )
