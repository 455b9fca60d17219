"""`danube logs JOB`: a job's log, or one step's output; with -f, live until the job ends."""

import argparse
import codecs
import shutil
import sys
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.job_names import JOB_HELP, job_id
from danube_pkg.cli.job_output import JsonPrinter, LivePrinter, print_end
from danube_pkg.cli.output import print_json, say
from danube_pkg.cli.servers import add_server_arguments
from danube_pkg.cli.step_prefixes import LivePrefixes, Prefix, live_prefixes, step_prefixes
from danube_pkg.kit.terminal import VisibleText

MAX_HITS = 1000
"""The most that the API returns at once."""

PART_BYTES = 64 * 1024
"""Read at once."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB", help=JOB_HELP)
    parser.add_argument(
        "-f", "--follow", action="store_true", help="until the job ends; exit code 0 if it succeeds, else 1"
    )
    parser.add_argument(
        "--grep", metavar="TEXT", help="only the lines in which this text is seen; exit code 1 if there are none"
    )
    parser.add_argument("--step", type=int, metavar="N", help="only the output of this step")
    parser.add_argument(
        "--prefix",
        action=argparse.BooleanOptionalAction,
        help="the name of its step before each line of steps that ran in parallel (on a terminal)",
    )
    parser.add_argument(
        "--raw", action="store_true", help="the bytes as they are; else control sequences but colours are made visible"
    )
    add_server_arguments(parser, json_help="with -f: print events as JSON lines; with --grep: hits")


def main(options: argparse.Namespace) -> int:
    client = ApiClient(options)
    if options.follow:
        return follow_to_end(
            client, job_id(client, options.job), as_json=options.json, raw=options.raw, prefix=options.prefix
        )
    if options.grep is not None:
        return _grep(client, options)
    query = f"?step={options.step}" if options.step is not None else ""
    path = f"/api/v1/jobs/{quote(job_id(client, options.job))}"
    prefix = _prefix(client, path, options)
    with client.open(f"{path}/log{query}") as response:
        if options.raw:
            shutil.copyfileobj(response, sys.stdout.buffer)
            return 0
        # Lines are counted before carriage returns become line ends.
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        shown, prefixed = VisibleText(), _Prefixed(prefix)
        while part := response.read(PART_BYTES):
            sys.stdout.write(shown.text(prefixed.text(decoder.decode(part))))
        sys.stdout.write(shown.text(prefixed.text(decoder.decode(b"", True)), final=True))
    return 0


class _Prefixed:
    """Text in parts, with a prefix before each of its lines."""

    def __init__(self, prefix: Prefix | None) -> None:
        self._prefix = prefix
        self._line = 0
        self._at_start = True

    def text(self, text: str) -> str:
        if self._prefix is None or not text:
            return text
        lines = text.split("\n")
        parts = []
        for number, line in enumerate(lines):
            if self._at_start and (line or number < len(lines) - 1):
                parts.append(self._prefix(self._line))
            parts.append(line)
            self._at_start = number < len(lines) - 1 or (self._at_start and not line)
            if number < len(lines) - 1:
                parts.append("\n")
                self._line += 1
        return "".join(parts)


def _prefix(client: ApiClient, path: str, options: argparse.Namespace) -> Prefix | None:
    """None where one step is printed, and where another program reads the lines, which are as they were printed."""
    if (
        options.step is not None
        or options.raw
        or options.prefix is False
        or not (options.prefix or sys.stdout.isatty())
    ):
        return None
    return step_prefixes(client.get(f"{path}/log/sections")["sections"], client.get(path)["steps"])


def _grep(client: ApiClient, options: argparse.Namespace) -> int:
    """Each line with the text as `NUMBER:LINE`, and how many they are. The whole log is searched."""
    path = f"/api/v1/jobs/{quote(job_id(client, options.job))}/log/search"
    query = {"q": options.grep, "limit": MAX_HITS, "step": options.step}
    count, begin = 0, 0
    while begin is not None:
        page = client.get(path, {**query, "from": begin})
        for hit in page["hits"]:
            if options.json:
                print_json(hit)
            else:
                say(f"{hit['line']}:{hit['text']}")
        count += len(page["hits"])
        begin = page["next"]
    if not options.json:
        say(f"{count} {'line has' if count == 1 else 'lines have'} {options.grep!r}", file=sys.stderr)
    return 0 if count else 1


def follow_started(client: ApiClient, job: Mapping[str, Any], *, as_json: bool, raw: bool = False) -> int:
    """Follow a job that this command has started, after its id and page. With JSON the first and the last line are the
    job."""
    return follow_to_end(client, job["id"], as_json=as_json, raw=raw, first=lambda: _say_started(client, job, as_json))


def _say_started(client: ApiClient, job: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        JsonPrinter(sys.stdout).event("job", job)
    else:
        page = f": {client.server.url}/jobs/{job['id']}" if client.server.url else ""
        say(f"job {job['id']} of {job['pipeline']}{page}", file=sys.stderr)


def follow_to_end(
    client: ApiClient,
    job: str,
    *,
    as_json: bool,
    raw: bool = False,
    prefix: bool | None = None,
    first: Callable[[], None] = lambda: None,
) -> int:
    """Print a job's log as it grows; returns 0 if the job succeeded, else 1. Waits for a server that is restarted. An
    interrupt ends this command and not the job. first: what is done before, which may be interrupted too."""
    try:
        first()
        prefixes = live_prefixes(sys.stdout, prefix, raw=raw)
        return _follow_to_end(client, job, prefixes, as_json=as_json, raw=raw)
    except KeyboardInterrupt:
        hint = f"danube logs -f {job} follows it, danube cancel {job} ends it"
        say(f"\ndanube: the job {job} continues: {hint}", file=sys.stderr)
        raise


def _follow_to_end(client: ApiClient, followed: str, prefixes: LivePrefixes | None, *, as_json: bool, raw: bool) -> int:
    printer, events = LivePrinter(sys.stdout, raw=raw), JsonPrinter(sys.stdout)
    job = None
    for event in client.follow(f"/api/v1/jobs/{quote(followed)}/events"):
        if event.name in ("job", "snapshot"):
            job = event.data
        if prefixes is not None:
            for step in (
                event.data["steps"] if event.name == "snapshot" else [event.data] if event.name == "step" else ()
            ):
                prefixes.learn(step["sequence"], step["name"])
        if as_json:
            events.event(event.name, event.data)
        elif event.name == "log":
            text = event.data["text"]
            printer.text(text if prefixes is None else prefixes.text(text, event.data.get("step")))
    printer.close()
    if job is None:
        return 1
    if as_json:
        events.event("job", job)
        return 0 if job["status"] == "success" else 1
    return print_end(job)
