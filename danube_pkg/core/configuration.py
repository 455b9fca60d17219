"""The configuration repository's meaning: marked documents → users, teams and pipelines, or everything that is wrong, at once.

The schema is the dataclasses below (`apiVersion: danube.dev/v1`). References between documents are checked after all
were read, so that the order of files does not matter. Nothing here reads a file.
"""

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from danube_pkg.core import cron
from danube_pkg.core.errors import Invalid, Place
from danube_pkg.core.marked import Document, Findings, Marked, nearest, read_record, rule
from danube_pkg.core.pipelines import Pipeline, PipelineSettings
from danube_pkg.core.pods import HOST_IMAGE
from danube_pkg.core.registries import RegistryRule

API_VERSION = "danube.dev/v1"
NAME_PATTERN = r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?"
MAX_PIPELINES = 10_000
"""An organisation of that size has several Danubes; the list of pipelines is built for it."""

_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[^/]+@[^/]+:|[^/@]+\.[^/@]+:[^/]")
_EMAIL = r"[^@\s]+@[^@\s]+"
_BCRYPT = r"\$2[aby]\$1[0-6]\$[./A-Za-z0-9]{53}"


class TriggerKind(StrEnum):
    """What starts a pipeline. `manual` is always possible; naming it says that nothing else does."""

    PUSH = "push"
    TAG = "tag"
    PULL_REQUEST = "pull_request"
    CRON = "cron"
    MANUAL = "manual"


class Level(StrEnum):
    """What a team may do with a pipeline; each includes the ones before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Metadata:
    """A document's name; `team` is the owner of a pipeline ("": nobody but global administrators)."""

    name: str = field(metadata=rule(pattern=NAME_PATTERN, example="frontend-build"))
    team: str = ""


@dataclass(frozen=True, slots=True)
class ConfigSpec:
    """Kind `Config`: what holds for the whole server."""

    max_concurrent_jobs: int = field(default=4, metadata=rule(at_least=1, at_most=10_000))
    """Jobs at the same time. Four: what a machine of two to four cores carries; a pipeline's own bounds come on top."""
    registries: tuple[RegistryRule, ...] = ()
    """Registries that need credentials, mirrors or plain http; any other is asked by https, with what was logged in to."""


@dataclass(frozen=True, slots=True)
class UserSpec:
    """Kind `User`. password_hash: bcrypt, cost 10 to 16 (below it is guessed, above it a login takes seconds)."""

    email: str = field(metadata=rule(pattern=_EMAIL, example="alice@example.com"))
    password_hash: str = field(
        default="", metadata=rule(pattern=f"|{_BCRYPT}", example="$2b$12$… (bcrypt, cost 10 to 16)")
    )


@dataclass(frozen=True, slots=True)
class TeamSpec:
    """Kind `Team`. members: e-mail addresses of users."""

    members: tuple[str, ...] = field(default=(), metadata=rule(pattern=_EMAIL, example="alice@example.com"))
    global_admin: bool = False


@dataclass(frozen=True, slots=True)
class TriggerSpec:
    """One trigger. schedule: five cron fields, with `on: cron` only."""

    kind: TriggerKind = field(metadata=rule(key="on"))
    schedule: str = ""


@dataclass(frozen=True, slots=True)
class PermissionSpec:
    """What one team may do."""

    team: str
    level: Level


@dataclass(frozen=True, slots=True)
class ResourceSpec:
    """Bounds of the whole pod; 0 is no bound of its own."""

    cpu: float = field(default=0.0, metadata=rule(at_least=0, at_most=1024))
    memory_mb: int = field(default=0, metadata=rule(at_least=0, at_most=16 * 1024**2))


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """Kind `Pipeline`. repository: a URL, or a directory relative to the configuration's own. Defaults: `PipelineSettings`."""

    repository: str = field(metadata=rule(pattern=r"\S(.*\S)?", example="https://github.com/myorg/frontend"))
    branch_filter: tuple[str, ...] = field(default=(), metadata=rule(pattern=r"\S+", example="release/*"))
    triggers: tuple[TriggerSpec, ...] = ()
    script: str = field(default="danubefile.py", metadata=rule(pattern=r"[^/\\].*", example="danubefile.py"))
    image: str = field(default=HOST_IMAGE, metadata=rule(pattern=r"\S+", example="python:3.12"))
    max_duration_seconds: int = field(default=3600, metadata=rule(at_least=1, at_most=7 * 86400))
    workspace_size_gb: int = field(default=5, metadata=rule(at_least=1, at_most=10_000))
    log_limit_mb: int = field(default=200, metadata=rule(at_least=1, at_most=10_000))
    resources: ResourceSpec = field(default_factory=ResourceSpec)
    permissions: tuple[PermissionSpec, ...] = ()


_SPECS: Mapping[str, type[Any]] = {"Config": ConfigSpec, "User": UserSpec, "Team": TeamSpec, "Pipeline": PipelineSpec}


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in. password_hash: bcrypt, "" where another provider knows the password."""

    name: str
    email: str
    password_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Team:
    """Users who have the same rights. members: e-mail addresses."""

    name: str
    members: tuple[str, ...]
    global_admin: bool


@dataclass(frozen=True, slots=True)
class DesiredState:
    """What a revision of the configuration wants. Pipelines have no ids yet: those are given when they are applied."""

    config: ConfigSpec
    users: tuple[User, ...]
    teams: tuple[Team, ...]
    pipelines: tuple[Pipeline, ...]
    permissions: Mapping[str, tuple[PermissionSpec, ...]]
    """By pipeline."""


@dataclass(frozen=True, slots=True)
class ConfigurationFiles:
    """What an adapter read: parsed documents and what could not be parsed.

    revision: a commit, or `dir-` and a hash of the content. base: the directory that relative repositories start from;
    "" where the configuration is not on this machine's disk.
    """

    revision: str
    base: str
    documents: tuple[Marked, ...]
    findings: tuple[Invalid, ...] = ()


@dataclass(frozen=True, slots=True)
class _Read:
    kind: str
    metadata: Metadata
    spec: Any
    document: Document


def read_configuration(files: ConfigurationFiles) -> tuple[DesiredState | None, tuple[Invalid, ...]]:
    """The desired state, or None and all that is wrong with it."""
    findings = Findings()
    findings.extend(files.findings)
    read = [one for node in files.documents if (one := _read_document(Document(node), findings)) is not None]
    _check_unique(read, findings)
    _check_references(read, findings)
    for one in read:
        if one.kind == "Pipeline":
            _check_pipeline(one, files.base, findings)
        if one.kind == "Config":
            _check_registries(one, findings)
    if findings:
        return None, findings.sorted()
    return _desired(read, files.base), ()


def _read_document(document: Document, findings: Findings) -> _Read | None:
    root = document.root
    if not isinstance(root.value, Mapping):
        findings.add(root.place, "a document must be a mapping", hint=f"begin it with: apiVersion: {API_VERSION}")
        return None
    version, kind = (root.value[key].value if key in root.value else None for key in ("apiVersion", "kind"))
    if version != API_VERSION:
        findings.add(
            document.place("apiVersion"), f"apiVersion must be {API_VERSION}", hint=f"write: apiVersion: {API_VERSION}"
        )
        return None
    if not isinstance(kind, str) or kind not in _SPECS:
        what = f"unknown kind {kind!r}" if kind is not None else "kind is missing"
        findings.add(document.place("kind"), what, hint=nearest(str(kind), [*_SPECS]))
        return None
    known = ("apiVersion", "kind", "metadata", "spec")
    for key in root.value:
        if key not in known:
            findings.add(root.keys.get(key, root.place), f"unknown field {key}", hint=nearest(key, known))
    empty = Marked({}, root.place, {})
    metadata = read_record(Metadata, root.value.get("metadata", empty), findings, "metadata")
    spec = read_record(_SPECS[kind], root.value.get("spec", empty), findings, "spec")
    if metadata is None or spec is None:
        return None
    return _Read(kind, metadata, spec, document)


def _check_unique(read: Sequence[_Read], findings: Findings) -> None:
    seen: dict[tuple[str, str], Place] = {}
    for one in read:
        names = [(one.kind, one.metadata.name if one.kind != "Config" else "")]
        if one.kind == "User":
            names.append(("User with the e-mail address", one.spec.email.lower()))
        for kind, name in names:
            place = one.document.place("metadata.name")
            first = seen.setdefault((kind, name), place)
            if first is not place:
                findings.add(
                    place, f"there is a {kind} {name!r} already, at {first}".replace(" ''", ""), hint="remove one"
                )
    pipelines = [one for one in read if one.kind == "Pipeline"]
    if len(pipelines) > MAX_PIPELINES:
        place = pipelines[MAX_PIPELINES].document.root.place
        findings.add(place, f"more than {MAX_PIPELINES} pipelines", hint="divide them among several servers")


def _check_registries(one: _Read, findings: Findings) -> None:
    seen: dict[str, int] = {}
    for index, known in enumerate(one.spec.registries):
        place = one.document.place(f"spec.registries.{index}.host")
        if seen.setdefault(known.host, index) != index:
            findings.add(place, f"spec.registries has {known.host!r} twice", hint="join the two entries")
        if bool(known.username) != bool(known.password_secret):
            findings.add(
                place,
                f"registry {known.host!r} needs both username and password_secret",
                hint="password_secret names a secret: danube secrets set REGISTRY_PASSWORD",
            )


def _check_references(read: Sequence[_Read], findings: Findings) -> None:
    teams = [one.metadata.name for one in read if one.kind == "Team"]
    emails = [one.spec.email.lower() for one in read if one.kind == "User"]
    for one in read:
        if one.kind == "Team" and emails:
            for index, email in enumerate(one.spec.members):
                if email.lower() not in emails:
                    place = one.document.place(f"spec.members.{index}")
                    findings.add(place, f"team {one.metadata.name!r}: no user {email!r}", hint=nearest(email, emails))
        if one.kind != "Pipeline":
            if one.metadata.team:
                findings.add(
                    one.document.place("metadata.team"), f"a {one.kind} has no team", hint="remove metadata.team"
                )
            continue
        named = [("metadata.team", one.metadata.team)] if one.metadata.team else []
        named += [(f"spec.permissions.{at}.team", each.team) for at, each in enumerate(one.spec.permissions)]
        for path, team in named:
            if team not in teams:
                findings.add(one.document.place(path), f"{path}: there is no team {team!r}", hint=nearest(team, teams))


def _check_pipeline(one: _Read, base: str, findings: Findings) -> None:
    spec: PipelineSpec = one.spec
    if ".." in spec.script.split("/"):
        findings.add(
            one.document.place("spec.script"),
            "spec.script must stay inside the repository",
            hint="write it without '..'",
        )
    if not base and not is_remote(spec.repository) and not spec.repository.startswith(("/", "file:///")):
        findings.add(
            one.document.place("spec.repository"),
            "spec.repository is a relative directory, and this configuration lies on another machine",
            hint="write the repository's URL",
        )
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*:[^/]*@", spec.repository):
        findings.add(
            one.document.place("spec.repository"),
            "spec.repository holds a password",
            hint="remove it, and revoke it: whoever reads this file has seen it",
        )
    schedules = 0
    for index, trigger in enumerate(spec.triggers):
        place = one.document.place(f"spec.triggers.{index}.schedule")
        if trigger.kind is not TriggerKind.CRON:
            if trigger.schedule:
                findings.add(place, f"a schedule belongs to on: cron, not to on: {trigger.kind}", hint="remove it")
            continue
        schedules += 1
        problem = cron.problem_with(trigger.schedule) if trigger.schedule else "on: cron needs a schedule"
        if problem:
            findings.add(place, problem, hint='for example: schedule: "0 3 * * *" (every day at three)')
        elif schedules > 1:
            findings.add(place, "a pipeline has one schedule", hint="join them: 0 3,15 * * *")


def _desired(read: Sequence[_Read], base: str) -> DesiredState:
    def of(kind: str) -> list[_Read]:
        return sorted((one for one in read if one.kind == kind), key=lambda one: one.metadata.name)

    config = next((one.spec for one in of("Config")), ConfigSpec())
    return DesiredState(
        config=config,
        users=tuple(User(one.metadata.name, one.spec.email, one.spec.password_hash) for one in of("User")),
        teams=tuple(Team(one.metadata.name, one.spec.members, one.spec.global_admin) for one in of("Team")),
        pipelines=tuple(_pipeline(one.metadata, one.spec, base) for one in of("Pipeline")),
        permissions={one.metadata.name: one.spec.permissions for one in of("Pipeline")},
    )


def _pipeline(metadata: Metadata, spec: PipelineSpec, base: str) -> Pipeline:
    return Pipeline(
        id="",
        name=metadata.name,
        team=metadata.team,
        settings=PipelineSettings(
            repository=repository_from(spec.repository, base),
            script=spec.script,
            image=spec.image,
            max_duration_seconds=spec.max_duration_seconds,
            workspace_size_gb=spec.workspace_size_gb,
            memory_mb=spec.resources.memory_mb,
            cpu=spec.resources.cpu,
            log_limit_mb=spec.log_limit_mb,
        ),
        branch_filter=spec.branch_filter,
        cron_schedule=next((one.schedule for one in spec.triggers if one.kind is TriggerKind.CRON), None),
    )


def repository_from(text: str, base: str) -> str:
    """A URL as it is; a directory absolute, relative ones counted from `base`."""
    if is_remote(text):
        return text
    return posixpath.normpath(posixpath.join(base, text.removeprefix("file://")))


def is_remote(text: str) -> bool:
    """Whether a repository's name is a URL (or scp's `user@host:path`) and not a directory of this machine."""
    return not text.startswith("file://") and _REMOTE.match(text) is not None
