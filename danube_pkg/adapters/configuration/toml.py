"""Reads `danube.toml` as `Settings` and reports every mistake with its line.

The standard library's parser gives no lines, so they are looked up in the text afterwards, by table and key.
"""

import ipaddress
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from danube_pkg.core.configuration.settings import Settings
from danube_pkg.core.documents.marked import Findings, Marked
from danube_pkg.core.documents.records import read_record
from danube_pkg.core.errors import ConfigurationInvalid, Invalid, SourceLocation
from danube_pkg.core.identity.oidc import is_loopback
from danube_pkg.core.repositories.urls import has_password, is_malformed, is_remote
from danube_pkg.kit.records import replace

LOCAL_FILE = Path("danube.toml")
SYSTEM_FILE = Path("/etc/danube/danube.toml")
MAX_FILE_BYTES = 1024**2

_TABLE = re.compile(r"\s*\[+\s*([A-Za-z0-9_.\"' -]+?)\s*\]+\s*(#.*)?")
_KEY = re.compile(r"\s*([A-Za-z0-9_\"'.-]+)\s*=")


def find_settings(explicit: Path | None = None) -> Path:
    """The file of `--config`, else ./danube.toml, else /etc/danube/danube.toml. Raises Invalid when there is none."""
    candidates = [explicit] if explicit is not None else [LOCAL_FILE, SYSTEM_FILE]
    for candidate in candidates:
        if candidate.is_file():
            return candidate.absolute()
    raise Invalid(
        "settings-missing",
        f"there is no {' and no '.join(str(one) for one in candidates)}",
        hint='name a file with --config FILE, or write one: [config_repo] with url = "a directory or a Git repository"',
    )


def read_settings(path: Path) -> Settings:
    """The settings, paths made absolute from the file's directory. Raises ConfigurationInvalid with all findings."""
    findings = Findings()
    settings = _read(path, findings)
    if settings is None or findings:
        raise ConfigurationInvalid(findings.sorted())
    return settings


def _read(path: Path, findings: Findings) -> Settings | None:
    file = str(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        findings.add(
            SourceLocation(file), f"the file cannot be read: {error.strerror}", hint="check its name and permissions"
        )
        return None
    if len(data) > MAX_FILE_BYTES:
        findings.add(SourceLocation(file), f"the file has {len(data)} bytes; at most {MAX_FILE_BYTES} are read")
        return None
    try:
        text = data.decode("utf-8-sig")
        document = tomllib.loads(text)
    except RecursionError:
        findings.add(SourceLocation(file), "lists are nested too deeply", hint="flatten them")
        return None
    except UnicodeDecodeError:
        findings.add(SourceLocation(file), "the file is not UTF-8", hint="save it as UTF-8")
        return None
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+)", str(error))
        place = SourceLocation(file, int(found[1]) if found else text.count("\n") + 1)
        findings.add(place, f"not valid TOML: {error}", hint='texts are in quotes: key = "value"')
        return None
    lines = _lines(text)
    directory = path.absolute().parent
    # A finding about the record must not hide one about a missing file.
    _check_files(
        document,
        directory,
        lambda key: SourceLocation(file, lines.get(key, lines.get(key.partition(".")[0], 0))),
        findings,
    )
    settings = read_record(Settings, _marked(document, "", file, lines), findings)
    if settings is not None and settings.dex.program and not _browsers_may_log_in(settings.server.external_url):
        findings.add(
            SourceLocation(file, lines.get("dex.program", 0)),
            "dex needs server.external_url, with https or on this machine",
            hint='add the URL by which users reach this server, under [server]: external_url = "https://ci.example.org"',
        )
    for one in settings.server.trusted_proxies if settings is not None else ():
        try:
            ipaddress.ip_network(one)
        except ValueError as error:
            place = SourceLocation(file, lines.get("server.trusted_proxies", 0))
            findings.add(
                place, f"server.trusted_proxies: {error}", hint='for example: trusted_proxies = ["10.0.0.0/8"]'
            )
    return None if settings is None else _with_paths(replace(settings, written=frozenset(lines)), directory)


def _browsers_may_log_in(external_url: str) -> bool:
    """Whether browsers send passwords encrypted, or to this machine."""
    parts = urlsplit(external_url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def _lines(text: str) -> dict[str, int]:
    """`server.bind_address` → its line; the first occurrence counts."""
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _TABLE.fullmatch(line):
            table = match[1].replace('"', "").replace(" ", "")
            found.setdefault(table, number)
        elif match := _KEY.match(line):
            key = match[1].replace('"', "")
            found.setdefault(f"{table}.{key}" if table else key, number)
    return found


def _marked(value: Any, path: str, file: str, lines: Mapping[str, int]) -> Marked:
    place = SourceLocation(file, lines.get(path, lines.get(path.rpartition(".")[0], 0)))
    if isinstance(value, dict):
        inner = {key: _marked(one, f"{path}.{key}" if path else key, file, lines) for key, one in value.items()}
        return Marked(inner, place, {key: one.place for key, one in inner.items()})
    if isinstance(value, list):
        return Marked(tuple(_marked(one, path, file, lines) for one in value), place, {})
    return Marked(value, place, {})


def _check_files(
    document: Mapping[str, Any], directory: Path, place: Callable[[str], SourceLocation], findings: Findings
) -> None:
    """Check that the named files and directories exist; reading the record checks the types of values."""

    def text(table: str, key: str) -> str:
        values = document.get(table)
        value = values.get(key) if isinstance(values, dict) else None
        return value if isinstance(value, str) else ""

    url = text("config_repo", "url")
    if "config_repo" in document and url == "" and isinstance(document["config_repo"], dict):
        if document["config_repo"].get("url") == "":
            findings.add(place("config_repo.url"), "config_repo.url is empty", hint='for example: url = "config"')
    elif url and not is_remote(url) and not Path(found := _absolute(url.removeprefix("file://"), directory)).is_dir():
        findings.add(
            place("config_repo.url"),
            f"config_repo.url: there is no directory {found}",
            hint=f"create it: mkdir -p {found}",
        )
    elif is_malformed(url):
        what = "config_repo.url is not a valid URL: its host or port cannot be read"
        findings.add(place("config_repo.url"), what, hint='for example: url = "https://git.example.org/config"')
    elif has_password(url):
        what = "config_repo.url contains credentials"
        findings.add(place("config_repo.url"), what, hint="remove them, and name a secret: token_secret = …")
    if bool(text("tls", "certificate")) != bool(text("tls", "key")):
        findings.add(place("tls"), "tls needs both certificate and key", hint="name both files, or neither")
    for table, key in (("tls", "certificate"), ("tls", "key"), ("runtime", "kubeconfig"), ("dex", "program")):
        named = text(table, key)
        if named and not Path(_absolute(named, directory)).is_file():
            what = f"{table}.{key}: there is no file {_absolute(named, directory)}"
            findings.add(place(f"{table}.{key}"), what, hint="check the name")


def _absolute(text: str, directory: Path) -> str:
    if not text:
        return ""
    try:
        return str(directory / Path(text).expanduser())
    except RuntimeError:  # `~name` of a user that this machine does not have: a directory of that name
        return str(directory / text)


def _with_paths(settings: Settings, directory: Path) -> Settings:
    """The settings with absolute paths."""
    url, tls, dex = settings.config_repo.url, settings.tls, settings.dex
    if not is_remote(url):
        url = _absolute(url.removeprefix("file://"), directory)
    return replace(
        settings,
        config_repo=replace(settings.config_repo, url=url),
        server=replace(settings.server, data_dir=_absolute(settings.server.data_dir, directory)),
        runtime=replace(settings.runtime, kubeconfig=_absolute(settings.runtime.kubeconfig, directory)),
        dex=replace(dex, program=_absolute(dex.program, directory), storage=_absolute(dex.storage, directory)),
        secrets=replace(settings.secrets, directory=_absolute(settings.secrets.directory, directory)),
        tls=replace(tls, certificate=_absolute(tls.certificate, directory), key=_absolute(tls.key, directory)),
    )
