"""The command of an image build, and the image that it has built."""

import re
import shlex
from collections.abc import Mapping

from danube._errors import DanubeError
from danube._results import StepResult

BUILDER_IMAGE = "ghcr.io/osscontainertools/kaniko:latest"
"""Kaniko's maintained fork; it runs where the specification's `gcr.io/kaniko-project/executor` does."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}(?![0-9a-f])")
_END = 16 * 1024
"""Characters at the end of the output, where it is searched for."""


def build_command(
    context: str,
    dockerfile: str,
    destination: str | None,
    build_args: Mapping[str, str],
    target: str | None,
    *,
    cache: bool,
) -> str:
    """The words of Kaniko's executor. What a server needs besides, it adds itself."""
    if not dockerfile.strip() or not context.strip():
        raise DanubeError("step-invalid", "a build needs a context and a Dockerfile", hint='dockerfile="Dockerfile"')
    directory = context if context.startswith("/") else f"/workspace/{context}".removesuffix("/.")
    words = ["/kaniko/executor", f"--context=dir://{directory}", f"--dockerfile={dockerfile}", "--cleanup"]
    words += [f"--build-arg={name}={value}" for name, value in build_args.items()]
    words += [f"--target={target}"] if target else []
    if destination is None:
        return shlex.join([*words, "--no-push"])
    if "/" not in destination:
        raise DanubeError(
            "step-invalid",
            f"{destination!r} does not name a registry",
            hint='destination="registry.danube-system:5000/app/web:1.0"',
        )
    return shlex.join([*words, f"--destination={destination}", *(["--cache=true"] if cache else [])])


def sbom_name(destination: str) -> str:
    """The name of the artifact that an image's SBOM is: `app-web-1.0.sbom.json` for `HOST/app/web:1.0`."""
    path = destination.partition("/")[2]
    return f"{path.replace('/', '-').replace(':', '-')}.sbom.json"


def built_image(destination: str | None, result: StepResult) -> str:
    """The image's name with its digest, the last one in the build's output; "" for one that was not pushed."""
    if destination is None:
        return ""
    found = _DIGEST.findall(result.output[-_END:])
    if not found:
        raise DanubeError(
            "image-digest-missing",
            f"step {result.name!r} has built {destination}, but its digest is unknown",
            cause="it is not in the output of the build",
            hint="build with an image of Kaniko: image=",
        )
    repository = destination.partition("@")[0]
    head, colon, tag = repository.rpartition(":")
    return f"{head if colon and '/' not in tag else repository}@{found[-1]}"
