"""Steps that build images: which images do, and what their commands are completed with. Pure.

Kaniko (https://github.com/osscontainertools/kaniko) unpacks a base image over its own root and runs the Dockerfile's
commands there, so that it needs neither a daemon nor rights over the machine: root of its own user namespace is enough.
Its image has no shell, so that a command is executed as its words are.
"""

import re
import shlex
from collections.abc import Sequence

from danube_pkg.core.images.reference import ImageUnavailable, parse_reference
from danube_pkg.kit.records import Record

BUILDERS = frozenset(
    {"gcr.io/kaniko-project/executor", "ghcr.io/osscontainertools/kaniko", "docker.io/martizih/kaniko"}
)
"""The repositories of Kaniko's images: the specification's, and those of the maintained fork."""

CONFIG_PATH = "/kaniko/.docker/config.json"
"""Where Kaniko's image reads credentials of registries from (its DOCKER_CONFIG)."""

DIGEST_TO_OUTPUT = "--digest-file=/dev/stdout"
"""The digest becomes part of the step's output, which the server has wherever the step runs. Kaniko writes it there
just before it pushes the image, after those of cached layers."""

END_BYTES = 16 * 1024
"""Where it is searched for: what Kaniko reports after it is a line for each destination."""

_DIGEST = re.compile(rb"sha256:[0-9a-f]{64}(?![0-9a-f])")
_SHELL = frozenset("\n;&|<>$`(){}")
"""Characters of a command that only a shell understands."""


class BuildTarget(Record):
    """A destination in the server's own registry."""

    repository: str
    tag: str


def is_builder(image: str, default_host: str) -> bool:
    """Whether steps of an image build images."""
    try:
        return parse_reference(image, default_host).repository in BUILDERS
    except ImageUnavailable:
        return False


def targets_of(command: str, host: str, default_host: str, *, with_unpushed: bool = False) -> Sequence[BuildTarget]:
    """The destinations at the registry `host` that a builder's command pushes to. with_unpushed: also those that it
    names and does not push to. Raises ImageUnavailable."""
    words = words_of(command)
    if not host or not words or (_flag(words, "no-push") not in ((), ("false",)) and not with_unpushed):
        return ()
    references = [parse_reference(one, default_host) for one in _flag(words, "destination", short="d")]
    return [BuildTarget(one.path, one.tag) for one in references if one.host == host]


def cache_of(command: str, host: str, default_host: str) -> str:
    """The repository at the registry `host` of the layer cache that a command names itself; "" for none. Raises
    ImageUnavailable."""
    named = _flag(words_of(command), "cache-repo")
    reference = parse_reference(named[-1], default_host) if named else None
    return reference.path if reference is not None and reference.host == host else ""


def completed(command: str, insecure_hosts: Sequence[str], *, untrusted: bool, is_rebuild: bool = False) -> str:
    """The command with what it needs on this server: it runs in a container without Docker's marks (`--force`), and
    some registries have no TLS. untrusted: the job only reads its layer cache. is_rebuild: the image is built and not
    pushed, and without the layers of earlier builds. Other commands stay as they are."""
    words = words_of(command)
    if not words:
        return command
    more = [] if _flag(words, "force") else ["--force"]
    more += [f"--insecure-registry={host}" for host in insecure_hosts]
    more += [] if _flag(words, "digest-file") or _flag(words, "no-push") else [DIGEST_TO_OUTPUT]
    more += ["--no-push-cache"] if untrusted else []
    more += ["--no-push", "--cache=false"] if is_rebuild else []
    return f"{command.strip()} {shlex.join(more)}" if more else command


def digest_in(output: bytes) -> str:
    """The last digest in a builder's output, which is the image's; "" where there is none."""
    found = _DIGEST.findall(output[-END_BYTES:])
    return found[-1].decode() if found else ""


def words_of(command: str) -> Sequence[str]:
    """The words of a command that is Kaniko's executor; empty for a script and for other programs."""
    if not _SHELL.isdisjoint(command.strip()):
        return ()
    try:
        words = shlex.split(command)
    except ValueError:
        return ()
    return words if words and words[0].rpartition("/")[2] == "executor" else ()


def _flag(words: Sequence[str], name: str, short: str = "") -> tuple[str, ...]:
    """The values of a flag, as `--name=value`, `--name value` and `-n value`; "true" for one without a value."""
    found = []
    for position, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag not in (f"--{name}", f"-{short}" if short else ""):
            continue
        following = words[position + 1] if position + 1 < len(words) else ""
        found.append(value if equals else "true" if not following or following.startswith("-") else following)
    return tuple(found)
