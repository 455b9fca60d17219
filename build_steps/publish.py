"""Publishes files as a release of a tag on a forge: GitHub, Gitea or Forgejo, by their HTTP APIs.

    FORGE_TOKEN=… python -m build_steps.publish --forge github --api https://api.github.com/repos/O/N --tag v1.2.0 FILE…

The release is a draft until it has every file: a reader sees all or nothing. A second run continues: it takes the
existing draft, and uploads what is missing. Sources: GitHub REST API "Releases" and "Release assets"; Gitea's swagger,
/repos/{owner}/{repo}/releases.
"""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 300.0
"""For one request: a file of 50 MB on a slow line."""

TRIES = 4
"""For a request that a forge cannot answer now; the pauses between them are 1, 2 and 4 seconds."""

MAX_ANSWER_BYTES = 4 * 1024**2


class Refused(Exception):
    """The forge has refused a request; the message says which and why."""


class Forge:
    """The releases of one repository. kind: which forge. api: the URL of the repository in its API."""

    def __init__(self, kind: str, api: str, token: str) -> None:
        self._kind = kind
        self._api = api.rstrip("/")
        self._token = token

    def publish(self, tag: str, files: Sequence[Path]) -> str:
        """Returns the address of the release. Raises Refused."""
        release = self._find(tag) or self._post(
            f"{self._api}/releases", {"tag_name": tag, "name": tag, "draft": True, "prerelease": "-" in tag}
        )
        known = {asset["name"]: asset.get("size") for asset in release.get("assets", ())}
        for file in files:
            if known.get(file.name) == file.stat().st_size:
                continue
            if not release["draft"]:
                raise Refused(f"{tag} is published already, without {file.name}; releases are not changed")
            if file.name in known:
                raise Refused(f"the draft of {tag} has another {file.name}; remove it on the forge, and publish again")
            self._upload(release, file)
        if release["draft"]:
            release = self._send("PATCH", f"{self._api}/releases/{release['id']}", {"draft": False})
        return str(release["html_url"])

    def _find(self, tag: str) -> Mapping[str, Any] | None:
        """The release of a tag, also as a draft, which the request by tag does not find."""
        listed = self._send("GET", f"{self._api}/releases?per_page=100&limit=50", None)
        return next((one for one in listed if one["tag_name"] == tag), None)

    def _upload(self, release: Mapping[str, Any], file: Path) -> None:
        name = urllib.parse.quote(file.name)
        if self._kind == "github":
            # https://uploads.github.com/repos/O/N/releases/ID/assets{?name,label}
            url = f"{release['upload_url'].partition('{')[0]}?name={name}"
            self._send("POST", url, file.read_bytes(), "application/octet-stream")
            return
        boundary = uuid.uuid4().hex
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="attachment"; filename="{file.name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        body = head.encode() + file.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        url = f"{self._api}/releases/{release['id']}/assets?name={name}"
        self._send("POST", url, body, f"multipart/form-data; boundary={boundary}")

    def _post(self, url: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._send("POST", url, document)
        return found

    def _send(
        self, method: str, url: str, body: Mapping[str, Any] | bytes | None, kind: str = "application/json"
    ) -> Any:
        data = json.dumps(body).encode() if isinstance(body, Mapping) else body
        headers = {"Authorization": f"token {self._token}", "Content-Type": kind, "User-Agent": "danube"}
        for left in reversed(range(TRIES)):
            request = urllib.request.Request(url, data, headers, method=method)
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
                    return json.loads(answer.read(MAX_ANSWER_BYTES))
            except urllib.error.HTTPError as error:
                if error.code < 500 or not left or method == "POST":
                    said = error.read(500).decode(errors="replace")
                    raise Refused(f"{method} {url}: HTTP {error.code} {said}") from error
            except OSError as error:
                if not left or method == "POST":
                    raise Refused(f"{method} {url}: {error}") from error
            time.sleep(2.0 ** (TRIES - 1 - left))
        raise Refused(f"{method} {url}: no answer")


def main() -> int:
    """0 when the release is public."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--forge", choices=("github", "gitea", "forgejo"), required=True)
    parser.add_argument("--api", required=True, help="the URL of the repository in the forge's API")
    parser.add_argument("--tag", required=True)
    parser.add_argument("files", nargs="+", type=Path)
    options = parser.parse_args()
    token = os.environ.get("FORGE_TOKEN", "")
    if not token:
        parser.error("FORGE_TOKEN is not set; it must hold a token of the forge that may write releases")
    try:
        print(f"published {Forge(options.forge, options.api, token).publish(options.tag, options.files)}")
    except Refused as error:
        print(f"publish: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
