"""Checks beyond single fields: unique names, references between documents, fields of a document that depend on each
other.

They run after all documents were read, so that the order of files does not matter.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.declared import DeclaredNames, declared_names
from danube_pkg.core.configuration.kinds import ConfigurationFiles, TypedDocument
from danube_pkg.core.configuration.notifications import EmailNotification
from danube_pkg.core.configuration.people import BCRYPT_COSTS, TeamSpec, UserSpec
from danube_pkg.core.configuration.pipeline_checks import check_cycles, check_pipeline
from danube_pkg.core.configuration.pipelines import PipelineSpec
from danube_pkg.core.documents.marked import Findings, nearest
from danube_pkg.core.egress.policy import MAX_ALLOWLIST_BYTES, parse_entry
from danube_pkg.core.errors import Invalid, SourceLocation
from danube_pkg.core.images.push_rights import ImageOwners
from danube_pkg.core.images.reference import is_host
from danube_pkg.core.repositories.git_authentication import SshKey

MAX_PIPELINES = 10_000
"""The list of pipelines is designed for this many; larger organisations run several servers."""

MAX_PORT = 65535


def check_documents(documents: Sequence[TypedDocument], files: ConfigurationFiles, findings: Findings) -> None:
    """Check everything that the rules of single fields do not cover."""
    _check_unique(documents, findings)
    _check_bounds(documents, findings)
    names = declared_names(files)
    for one in documents:
        match one.spec:
            case ConfigSpec() as spec:
                _check_config(one, spec, findings)
            case UserSpec() as spec:
                _check_cost(one, spec, findings)
            case TeamSpec() as spec:
                _check_members(one, spec, names, findings)
            case PipelineSpec() as spec:
                _check_teams(one, spec, names, findings)
                check_pipeline(one, spec, files, names, findings)
        if isinstance(one.spec, ConfigSpec | PipelineSpec):
            _check_egress(one, one.spec.egress_allowlist, findings)
            if names.is_whole and not names.has_smtp:
                _check_mail(one, findings)
        if one.metadata.team and not isinstance(one.spec, PipelineSpec):
            findings.add(one.document.place("metadata.team"), f"a {one.kind} has no team", hint="remove metadata.team")
    check_cycles(documents, findings)
    _check_images(documents, findings)


def _check_images(documents: Sequence[TypedDocument], findings: Findings) -> None:
    """Each name in the registry belongs to one pipeline."""
    specs = [(one.metadata.name, one.spec) for one in documents if isinstance(one.spec, PipelineSpec)]
    owners = ImageOwners({name: spec.images for name, spec in specs})
    for one in documents:
        for index, name in enumerate(one.spec.images if isinstance(one.spec, PipelineSpec) else ()):
            if other := owners.of(name, but=one.metadata.name):
                place = one.document.place(f"spec.images[{index}]")
                hint = f"push to {one.metadata.name}/{name.rpartition('/')[2]}, which needs no line"
                findings.add(place, f"{name!r} belongs to pipeline {other!r}", hint=hint)


def _check_unique(documents: Sequence[TypedDocument], findings: Findings) -> None:
    seen: dict[tuple[str, str], SourceLocation] = {}
    for one in documents:
        name = "" if isinstance(one.spec, ConfigSpec) else f" {one.metadata.name!r}"
        names = [(one.kind, name, "metadata.name")]
        if isinstance(one.spec, UserSpec):
            names.append(("User with the e-mail address", f" {one.spec.email.lower()!r}", "spec.email"))
        for kind, named, path in names:
            place = one.document.place(path)
            first = seen.setdefault((kind, named), place)
            if first is not place:
                findings.add(place, f"there is already a {kind}{named}, at {first}", hint="remove one of them")


def _check_bounds(documents: Sequence[TypedDocument], findings: Findings) -> None:
    pipelines = [one for one in documents if isinstance(one.spec, PipelineSpec)]
    if len(pipelines) > MAX_PIPELINES:
        place = pipelines[MAX_PIPELINES].document.root.place
        findings.add(place, f"more than {MAX_PIPELINES} pipelines", hint="use several servers")


def _check_egress(one: TypedDocument, allowlist: Sequence[str], findings: Findings) -> None:
    """Check each entry, and the length of the list: the egress proxy gets the server's and a pipeline's list
    together."""
    for index, entry in enumerate(allowlist):
        try:
            parse_entry(entry)
        except Invalid as error:
            place = one.document.place(f"spec.egress_allowlist[{index}]")
            findings.add(place, f"spec.egress_allowlist[{index}]: {error.what}", hint=error.hint)
    if sum(map(len, allowlist)) > MAX_ALLOWLIST_BYTES // 2:
        what = f"spec.egress_allowlist has more than {MAX_ALLOWLIST_BYTES // 2} characters"
        findings.add(one.document.place("spec.egress_allowlist"), what, hint="use patterns of domains: **.example.org")


def _check_cost(one: TypedDocument, spec: UserSpec, findings: Findings) -> None:
    low, high = BCRYPT_COSTS
    if spec.password_hash and not low <= (cost := int(spec.password_hash[4:6])) <= high:
        why = "can be guessed too fast" if cost < low else "makes every login take seconds"
        findings.add(
            one.document.place("spec.password_hash"),
            f"spec.password_hash has the bcrypt cost {cost}, which {why}; it must be {low} to {high}",
            hint="create one with: htpasswd -nBC 12 ''",
        )


def _check_members(one: TypedDocument, spec: TeamSpec, names: DeclaredNames, findings: Findings) -> None:
    for index, member in enumerate(spec.members):
        place = one.document.place(f"spec.members[{index}]")
        if any(member.email.lower() == before.email.lower() for before in spec.members[:index]):
            findings.add(place, f"team {one.metadata.name!r} has the member {member.email!r} twice", hint="remove one")
        elif names.is_whole and names.emails and member.email.lower() not in names.emails:
            what = f"team {one.metadata.name!r}: there is no user {member.email!r}"
            findings.add(place, what, hint=nearest(member.email, sorted(names.emails)))


def _check_teams(one: TypedDocument, spec: PipelineSpec, names: DeclaredNames, findings: Findings) -> None:
    named = [("metadata.team", one.metadata.team)] if one.metadata.team else []
    named += [(f"spec.permissions[{at}].team", each.team) for at, each in enumerate(spec.permissions)]
    for path, team in named:
        if names.is_whole and team not in names.teams:
            what = f"{path}: there is no team {team!r}"
            hint = nearest(team, sorted(names.teams)) if names.teams else "add it to teams.yaml"
            findings.add(one.document.place(path), what, hint=hint)
    _check_twice(one, "spec.permissions", "team", spec.permissions, lambda each: each.team, findings)


def _check_webhooks(one: TypedDocument, spec: ConfigSpec, findings: Findings) -> None:
    for index, webhook in enumerate(spec.webhooks):
        if not (webhook.secrets or webhook.manage):
            place = one.document.place(f"spec.webhooks[{index}].secrets")
            what = f"spec.webhooks[{index}].secrets is empty, so every webhook would be refused"
            findings.add(place, what, hint='name a secret: ["github-webhook"]; or let the server make it: manage: true')
        if webhook.manage and not any(getattr(rule, "manage", False) for rule in spec.git_authentication):
            place = one.document.place(f"spec.webhooks[{index}].manage")
            what = f"spec.webhooks[{index}].manage has no credential that the server may use for it"
            findings.add(place, what, hint="in a rule of git_authentication with an API: manage: true")
        if webhook.deploy_key and not webhook.manage:
            place = one.document.place(f"spec.webhooks[{index}].deploy_key")
            what = f"spec.webhooks[{index}].deploy_key needs manage"
            findings.add(place, what, hint="add manage: true, or remove deploy_key")


def _check_config(one: TypedDocument, spec: ConfigSpec, findings: Findings) -> None:
    _check_twice(one, "spec.git_authentication", "name", spec.git_authentication, lambda each: each.name, findings)
    _check_twice(one, "spec.registries", "host", spec.registries, lambda each: each.host, findings)
    _check_twice(one, "spec.webhooks", "forge", spec.webhooks, lambda each: str(each.forge), findings)
    for index, rule in enumerate(spec.git_authentication):
        path = f"spec.git_authentication[{index}]"
        if not rule.match_patterns:
            place = one.document.place(f"{path}.match_patterns")
            findings.add(place, f"{path}.match_patterns is empty, so the rule never matches", hint='write: ["*"]')
        if isinstance(rule, SshKey) and bool(rule.private_key_path) == bool(rule.private_key_secret):
            findings.add(
                one.document.place(path),
                f"{path} needs either private_key_path or private_key_secret",
                hint="name one of them",
            )
    _check_webhooks(one, spec, findings)
    logins = [
        (f"spec.registries[{at}]", each.username, each.password_secret) for at, each in enumerate(spec.registries)
    ]
    if spec.smtp is not None:
        logins.append(("spec.smtp", spec.smtp.username, spec.smtp.password_secret))
    for path, username, secret in logins:
        if bool(username) != bool(secret):
            what = f"{path} needs both username and password_secret, or neither"
            findings.add(
                one.document.place(path), what, hint="set the secret: danube secrets set NAME; and write NAME here"
            )
    for at, registry in enumerate(spec.registries):
        texts = {f"spec.registries[{at}].host": registry.host}
        texts |= {
            f"spec.registries[{at}].mirrors": url.partition("://")[2].partition("/")[0] for url in registry.mirrors
        }
        for path, host in texts.items():
            if not is_host(host):
                what = f"{path}: {host!r} is not a host, with or without a port from 1 to {MAX_PORT}"
                findings.add(one.document.place(path), what, hint="for example: registry.example.org:5000")
    address = spec.server.bind_address
    if address and int(address.rpartition(":")[2]) > MAX_PORT:
        place = one.document.place("spec.server.bind_address")
        findings.add(place, f"spec.server.bind_address: a port is at most {MAX_PORT}", hint="for example: 0.0.0.0:8080")


def _check_twice(
    one: TypedDocument, path: str, key: str, items: Iterable[Any], name: Callable[[Any], str], findings: Findings
) -> None:
    seen: set[str] = set()
    for index, each in enumerate(items):
        if name(each) in seen:
            place = one.document.place(f"{path}[{index}].{key}")
            findings.add(place, f"{path}[{index}]: the {key} {name(each)!r} is used twice", hint="remove one")
        seen.add(name(each))


def _check_mail(one: TypedDocument, findings: Findings) -> None:
    notifications = one.spec.notifications if isinstance(one.spec, ConfigSpec | PipelineSpec) else ()
    for index, notification in enumerate(notifications):
        if isinstance(notification, EmailNotification):
            place = one.document.place(f"spec.notifications[{index}]")
            what = f"spec.notifications[{index}]: e-mail needs a mail server, and the configuration has none"
            findings.add(place, what, hint="add to kind Config: smtp: {host: …, from: …}")
