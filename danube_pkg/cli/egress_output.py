"""Egress on the terminal: the allowlist of `danube run`, the one that a run needed, and the ledger as a table."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from danube_pkg.cli.output import one_line, print_table, say, size
from danube_pkg.core.egress.denials import note
from danube_pkg.core.egress.ledger import Destination
from danube_pkg.core.egress.policy import Verdict, entry_for, parse_entry, yaml_lines
from danube_pkg.core.errors import Invalid
from danube_pkg.core.runtimes.pods import Network
from danube_pkg.kit.terminal import visible
from danube_pkg.services.egress import EgressReport

MAX_FILE_BYTES = 1024**2

MAX_REFUSED = 20
"""Destinations that are named at the end of a run; the log has all of them."""


def allowed(words: Sequence[str]) -> tuple[str, ...]:
    """The entries of `--allow`. A word is an entry, or `@FILE`: a YAML file with a list `egress_allowlist`, at the top
    or below `spec` as in a pipeline. Raises Invalid."""
    entries = [entry for word in words for entry in (_entries_of(Path(word[1:])) if word.startswith("@") else [word])]
    for entry in entries:
        parse_entry(entry)
    return tuple(dict.fromkeys(entries))


def _entries_of(path: Path) -> list[str]:
    try:
        text = path.read_bytes()[:MAX_FILE_BYTES]
        documents = [document for document in yaml.safe_load_all(text) if isinstance(document, dict)]
    except (OSError, yaml.YAMLError) as error:
        raise Invalid(
            "allowlist-unreadable",
            f"{path} cannot be read as YAML",
            cause=one_line(str(error)),
            hint="the file must have: egress_allowlist: [github.com]",
        ) from error
    places = [place for document in documents for place in (document, document.get("spec")) if isinstance(place, dict)]
    lists = [place["egress_allowlist"] for place in places if "egress_allowlist" in place]
    entries = [entry for found in lists if isinstance(found, list) for entry in found]
    if not lists or not all(isinstance(entry, str) for entry in entries):
        raise Invalid(
            "allowlist-missing",
            f"there is no list egress_allowlist in {path}",
            hint="the file must have: egress_allowlist: [github.com]",
        )
    return entries


def print_learned(report: EgressReport, network: Network, *, succeeded: bool) -> None:
    """On standard error after a run: what was refused or not reached, and the allowlist that the run needs. Nothing if
    it opened no connection. What is refused while learning (an address of this machine, a metadata service) is not in
    the list: its lines name the entries.

    succeeded: whether the job did. One that failed may have ended before its other connections, so that its list is
    what it needed so far, and an empty one proves nothing.
    """
    if not network.through_proxy or not report.contacts:
        return
    counts = {verdict: [one for one in report.destinations if one.latest.verdict is verdict] for verdict in Verdict}
    refused, failed = counts[Verdict.REFUSED], counts[Verdict.FAILED]
    _print_notes(refused, "refused")
    _print_notes(failed, "not reached")
    places = ", ".join(
        f"{len(found)} {word}"
        for word, found in (("reached", counts[Verdict.ALLOWED]), ("refused", refused), ("not reached", failed))
        if found or word == "reached"
    )
    missing = {entry for one in refused for entry in one.latest.allow} if network is Network.ALLOWLIST else set()
    if network is Network.LEARN:
        missing |= {entry_for(one.latest.host, one.latest.port) for one in failed if one.latest.host}
    needed = [*report.needed, *sorted(missing - set(report.needed))]
    if needed:
        until = "needs" if succeeded else "needed until it failed"
        say(f"egress: {places}; the allowlist that this run {until}:\n\n{visible(yaml_lines(needed))}", file=sys.stderr)
    elif refused or not succeeded:
        say(f"egress: {places}", file=sys.stderr)
    else:
        say(f"egress: {places}; this run needs no egress_allowlist", file=sys.stderr)


def _print_notes(found: Sequence[Destination], word: str) -> None:
    for one in found[:MAX_REFUSED]:
        say(one_line(note(one.latest)), file=sys.stderr)
    if len(found) > MAX_REFUSED:
        say(f"egress {word}: {len(found) - MAX_REFUSED} more destinations", file=sys.stderr)


def print_ledger(view: Mapping[str, Any]) -> None:
    """The answer of `GET /api/v1/jobs/{job}/egress` as a table."""
    rows = [
        (
            "" if one["step"] is None else str(one["step"]),
            f"{one['host']}:{one['port']}" if one["host"] else "",
            one["verdict"],
            one["reason"],
            str(one["contacts"]),
            size(one["sent_bytes"]),
            size(one["received_bytes"]),
        )
        for one in view["destinations"]
    ]
    print_table(("STEP", "DESTINATION", "VERDICT", "REASON", "TIMES", "OUT", "IN"), rows)
    allow = [entry for one in view["destinations"] if one["verdict"] == Verdict.REFUSED for entry in one["allow"]]
    if allow:
        say(f"\nto allow the refused destinations:\n\n{visible(yaml_lines(list(dict.fromkeys(allow))))}", end="")
