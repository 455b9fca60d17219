"""The options of `danube run`, read as a request: what to run, as which pipeline, with which network and secrets."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from danube_pkg.cli.client import key_values
from danube_pkg.cli.durations import seconds
from danube_pkg.cli.egress_output import allowed
from danube_pkg.cli.line_ends import without_line_end
from danube_pkg.cli.pipeline_file import PipelineFile, read_pipeline_file
from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.pipelines import ParamSpec
from danube_pkg.core.configuration.state import PipelineDefinition, pipeline_of
from danube_pkg.core.danubefile import read_danubefile
from danube_pkg.core.documents.marked import Findings, nearest
from danube_pkg.core.errors import Invalid
from danube_pkg.core.pipelines import GRACE_SECONDS, Pipeline, PipelineSettings
from danube_pkg.core.runtimes.pods import Network
from danube_pkg.kit.records import Record, field, replace

MAX_SECONDS = 24 * 3600
"""The default is long, since the user can end the run at any time."""


class RunRequest(Record):
    """The parsed options. pipeline: made from them and from the file of --pipeline. declared: that file's parameters.

    host_paths: absolute paths that the image `host` shows too.
    """

    directory: Path
    pipeline: Pipeline
    params: Mapping[str, str]
    secrets: Mapping[str, bytes]
    host_paths: tuple[Path, ...] = ()
    declared: Mapping[str, ParamSpec] = field(default_factory=dict)
    approved: tuple[str, ...] = ()
    """Environments that are approved beforehand."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Everything that says what is run, and how."""
    parser.add_argument("path", metavar="PATH", nargs="?", default=".", help="a directory, or a danubefile (.)")
    parser.add_argument("--script", metavar="FILE", help="the danubefile, relative to PATH (danubefile.py)")
    parser.add_argument(
        "--pipeline",
        metavar="FILE",
        type=Path,
        help="a pipeline's YAML: its image, limits, variables, parameters and allowlist, enforced as on a server",
    )
    parser.add_argument("--image", metavar="NAME", help="of steps that name none (host, or the pipeline's)")
    parser.add_argument(
        "--host-path",
        action="append",
        default=[],
        metavar="DIR",
        help="what the image host shows beside the machine's programs, as host_paths of danube.toml; DIR/bin is in PATH",
    )
    parser.add_argument(
        "--env", action="append", default=[], metavar="K=V", help="an environment variable of each step"
    )
    parser.add_argument(
        "--param", action="append", default=[], metavar="K=V", help="a parameter; ctx.params in the danubefile"
    )
    parser.add_argument(
        "--secret",
        action="append",
        default=[],
        metavar="KEY=@FILE",
        help="a secret, read from a file (@- is standard input)",
    )
    parser.add_argument(
        "--approve",
        action="append",
        default=[],
        metavar="ENVIRONMENT",
        help="approve an environment that the danubefile asks for (else the terminal asks; without one it is rejected)",
    )
    _add_network_arguments(parser)
    parser.add_argument(
        "--timeout",
        type=seconds,
        metavar="TIME",
        help="how long the job may take: 90, 30s, 5m, 1h30m (a day, or the pipeline's)",
    )
    parser.add_argument(
        "--run-as-root", action="store_true", help="as run_as_root of a pipeline: root runs steps in the image host"
    )
    parser.add_argument(
        "--step", metavar="NAME", help="run this step alone, with the services around it and the approvals before it"
    )
    parser.add_argument("--raw", action="store_true", help="keep control sequences other than colours")
    parser.add_argument("--json", action="store_true", help="print events as JSON lines")


def _add_network_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--network",
        choices=("none", "host"),
        help="steps reach nothing, or use this machine's network (else they reach everything, and it is recorded)",
    )
    parser.add_argument("--hermetic", action="store_true", help="steps reach only what --allow names")
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="HOST[:PORT]",
        help="what steps may reach; @FILE reads the egress_allowlist of a YAML file",
    )


def run_request(options: argparse.Namespace, configured_paths: tuple[str, ...] = ()) -> RunRequest:
    """configured_paths: `host_paths` of the danube.toml of this directory. Raises Invalid, ConfigurationInvalid."""
    path = Path(options.path).absolute()
    directory, script = (path.parent, path.name) if path.is_file() else (path, options.script)
    if not directory.is_dir():
        raise Invalid("path-missing", f"there is no directory {options.path}", hint="danube run DIRECTORY")
    if options.timeout is not None and options.timeout < 1:
        what = f"--timeout {options.timeout} must be at least 1"
        raise Invalid("timeout-invalid", what, hint="for an hour: --timeout 1h")
    named = read_pipeline_file(options.pipeline) if options.pipeline else None
    pipeline = _pipeline(options, named, directory, script)
    if not (directory / pipeline.settings.script).is_file():
        raise Invalid(
            "script-missing",
            f"there is no {pipeline.settings.script} in {directory}",
            hint="danube run DIRECTORY, or name the file: --script ci/danubefile.py; danube init writes one",
        )
    _check_approved(options.approve, named, directory / pipeline.settings.script)
    return RunRequest(
        directory=directory,
        pipeline=pipeline,
        params=key_values(options.param, "param"),
        secrets=_secrets(options.secret),
        host_paths=_host_paths(options.host_path, configured_paths),
        declared=named.spec.params if named is not None else {},
        approved=tuple(options.approve),
    )


def _check_approved(approved: Sequence[str], named: PipelineFile | None, script: Path) -> None:
    """Raises Invalid for an environment that neither the pipeline declares nor the danubefile asks for, where it is
    known which ones it asks for."""
    outline = read_danubefile(script.read_bytes(), script.name, Findings()) if approved else None
    if outline is None or outline.environments is None:
        return  # the run names what is wrong with the file, or at its end what was approved in vain
    declared = named.spec.environments if named is not None else ()
    known = [*declared, *(one.name for one in outline.environments)]
    for name in approved:
        if name not in known:
            raise Invalid(
                "environment-unknown",
                f"--approve {name}: {script.name} asks for no environment of that name",
                hint=nearest(name, known) if known else "leave --approve out: there is no approval() in it",
            )


def _pipeline(options: argparse.Namespace, named: PipelineFile | None, directory: Path, script: str | None) -> Pipeline:
    """The file's pipeline, with what the options replace; without a file one of the options alone."""
    allowlist = allowed(options.allow)
    if named is None:
        settings = PipelineSettings(
            repository=str(directory),
            max_duration_seconds=MAX_SECONDS,
            grace_seconds=GRACE_SECONDS,
            network=_network(options, Network.LEARN),
            egress_allowlist=allowlist,
        )
        pipeline = Pipeline("", directory.name, "", settings)
    else:
        pipeline = pipeline_of(PipelineDefinition(named.name, "", named.spec), ConfigSpec(), "")
        settings = replace(
            pipeline.settings,
            repository=str(directory),
            network=_network(options, Network.ALLOWLIST),
            egress_allowlist=tuple(dict.fromkeys((*pipeline.settings.egress_allowlist, *allowlist))),
        )
    return replace(
        pipeline,
        settings=replace(
            settings,
            script=script or settings.script,
            only_step=options.step or "",
            image=options.image or settings.image,
            max_duration_seconds=options.timeout or settings.max_duration_seconds,
            environment={**settings.environment, **key_values(options.env, "env")},
            run_as_root=options.run_as_root or settings.run_as_root,
            approved_locally=True,
        ),
    )


OWN_PATHS = tuple(map(Path, ("/tmp", "/workspace", "/dev", "/proc", "/run", "/home/danube")))
"""A container has its own there, which would hide what this machine has."""


def _host_paths(words: list[str], configured: tuple[str, ...]) -> tuple[Path, ...]:
    paths = [Path(word).expanduser().absolute() for word in words]
    for path in paths:
        if not path.exists():
            hint = "name a directory of this machine: --host-path ~/.cargo"
            raise Invalid("host-path-missing", f"there is no {path}", hint=hint)
        hidden = next((one for one in OWN_PATHS if path.is_relative_to(one)), None)
        if hidden is not None:
            raise Invalid(
                "host-path-hidden",
                f"{path} cannot be shown",
                cause=f"a container has a {hidden} of its own",
                hint="copy it to another directory, such as one below /opt or your home",
            )
    return tuple(dict.fromkeys((*map(Path, configured), *paths)))


def _network(options: argparse.Namespace, default: Network) -> Network:
    """By default steps reach what --pipeline allows; without a pipeline everything, and the allowlist that they need is
    recorded."""
    if options.network and (options.hermetic or options.allow):
        raise Invalid(
            "network-contradiction",
            f"--network={options.network} does not use an allowlist",
            hint="leave --network out to use --hermetic and --allow",
        )
    return Network(options.network or ("allowlist" if options.hermetic else default))


def _secrets(words: list[str]) -> dict[str, bytes]:
    found = {}
    for key, value in key_values(words, "secret").items():
        if not value.startswith("@"):
            raise Invalid(
                "secret-in-arguments",
                f"the value of {key} must come from a file",
                cause="every user of this machine can read a program's arguments",
                hint=f"--secret {key}=@FILE, or @- for standard input",
            )
        try:
            data = sys.stdin.buffer.read() if value == "@-" else Path(value[1:]).read_bytes()
        except OSError as error:
            raise Invalid(
                "secret-unreadable",
                f"{value[1:]} cannot be read",
                cause=error.strerror or "",
                hint=f"check the path and its permissions: ls -l {value[1:]}",
            ) from error
        found[key] = without_line_end(data)
    return found
