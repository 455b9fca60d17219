"""A stand-in for Kaniko's executor: the same arguments and files, and a real image in the registry. The Python of its
image runs it.

It knows as much of a Dockerfile as these tests need: FROM, ARG, COPY of one file, and `RUN echo WORDS > FILE`.
"""

import argparse
import base64
import gzip
import hashlib
import io
import json
import os
import re
import sys
import tarfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
SECONDS = 60


def main() -> None:
    """Build and push. Flags that Kaniko does not have are errors."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("context", "dockerfile", "digest-file", "target", "cache-repo"):
        parser.add_argument(f"--{name}", default="")
    for name in ("destination", "build-arg", "insecure-registry"):
        parser.add_argument(f"--{name}", action="append", default=[])
    for name in ("cache", "force", "cleanup", "no-push", "no-push-cache"):
        parser.add_argument(f"--{name}", nargs="?", const="true", default="false")
    options = parser.parse_args()
    assert options.force == "true", "kaniko should only be run inside of a container, run with the --force flag"
    context = Path(options.context.removeprefix("dir://"))
    arguments = dict(one.split("=", 1) for one in options.build_arg)
    base, layer = read_dockerfile(context / options.dockerfile, context, arguments)
    source, name, tag = Registry.of(base, options.insecure_registry)
    image = source.pull(name, tag, layer)
    digest = digest_of(image.manifest)
    if options.digest_file:
        Path(options.digest_file).write_text(digest)
    for destination in options.destination if options.no_push != "true" else ():
        target, name, tag = Registry.of(destination, options.insecure_registry)
        target.push(name, tag, image)
        print(f"INFO Pushed {destination}@{digest}", file=sys.stderr, flush=True)


def read_dockerfile(path: Path, context: Path, arguments: Mapping[str, str]) -> tuple[str, bytes]:
    """The base image, and the archive of a layer with what the instructions make."""
    base, values = "", dict[str, str]()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as layer:
        for line in filter(None, map(str.strip, path.read_text().splitlines())):
            word, _, rest = line.partition(" ")
            if word == "FROM":
                base = rest
            elif word == "ARG":
                key, _, default = rest.partition("=")
                values[key] = arguments.get(key, default)
            elif word == "COPY":
                source, target = rest.split()
                add(layer, target, (context / source).read_bytes())
            else:
                found = re.fullmatch(r"RUN echo (.*) > (\S+)", line)
                assert found, f"not known: {line}"
                text = re.sub(r"\$(\w+)", lambda match: values.get(match[1], ""), found[1])
                add(layer, found[2], f"{text}\n".encode())
    return base, archive.getvalue()


def add(layer: tarfile.TarFile, path: str, content: bytes) -> None:
    member = tarfile.TarInfo(path.lstrip("/"))
    member.size = len(content)
    layer.addfile(member, io.BytesIO(content))


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class BuiltImage:
    """manifest: of the image. blobs: its configuration and layers by digest."""

    def __init__(self, manifest: bytes, blobs: Mapping[str, bytes]) -> None:
        self.manifest, self.blobs = manifest, blobs


class Registry:
    """The distribution API with tokens. host: with its port."""

    def __init__(self, host: str, insecure: list[str]) -> None:
        self._host = host
        self._url = f"{'http' if host in insecure else 'https'}://{host}/v2/"
        self._token = ""

    @classmethod
    def of(cls, image: str, insecure: list[str]) -> "tuple[Registry, str, str]":
        host, _, rest = image.partition("/")
        name, _, tag = rest.partition(":")
        return cls(host, insecure), name, tag or "latest"

    def pull(self, name: str, tag: str, layer: bytes) -> BuiltImage:
        """The image with a further layer."""
        document = json.loads(
            self._ask("GET", f"{name}/manifests/{tag}", headers={"Accept": f"{MANIFEST}, {INDEX}"})[1]
        )
        if "manifests" in document:
            digest = document["manifests"][0]["digest"]
            document = json.loads(self._ask("GET", f"{name}/manifests/{digest}", headers={"Accept": MANIFEST})[1])
        blobs = {one["digest"]: self._ask("GET", f"{name}/blobs/{one['digest']}")[1] for one in document["layers"]}
        config = json.loads(self._ask("GET", f"{name}/blobs/{document['config']['digest']}")[1])
        config["rootfs"]["diff_ids"].append(digest_of(layer))
        packed, data = gzip.compress(layer, mtime=0), json.dumps(config).encode()
        blobs |= {digest_of(packed): packed, digest_of(data): data}
        kind = "application/vnd.oci.image.layer.v1.tar+gzip"
        document["layers"].append({"mediaType": kind, "digest": digest_of(packed), "size": len(packed)})
        document["config"] = {**document["config"], "digest": digest_of(data), "size": len(data)}
        return BuiltImage(json.dumps(document).encode(), blobs)

    def push(self, name: str, tag: str, image: BuiltImage) -> None:
        for digest, data in image.blobs.items():
            place = self._ask("POST", f"{name}/blobs/uploads/", b"")[0]["Location"]
            sign = "&" if "?" in place else "?"
            self._ask("PUT", f"{place}{sign}digest={digest}", data, {"Content-Type": "application/octet-stream"})
        self._ask("PUT", f"{name}/manifests/{tag}", image.manifest, {"Content-Type": MANIFEST})

    def _ask(
        self, method: str, path: str, data: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[Any, bytes]:
        """Headers and body of the answer. One challenge is answered."""
        for is_second in (False, True):
            token = {"Authorization": f"Bearer {self._token}"} if self._token else {}
            url = urllib.parse.urljoin(self._url, path)
            request = urllib.request.Request(url, data, {**(headers or {}), **token}, method=method)
            try:
                with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                    return answer.headers, answer.read()
            except urllib.error.HTTPError as error:
                challenge = error.headers.get("WWW-Authenticate", "")
                if error.code != 401 or is_second or not challenge.startswith("Bearer "):
                    sys.exit(f"{method} {url}: {error.code} {error.read().decode(errors='replace')}")
                self._token = self._token_for(dict(re.findall(r'(\w+)="([^"]*)"', challenge)))
        raise AssertionError

    def _token_for(self, challenge: Mapping[str, str]) -> str:
        query = urllib.parse.urlencode({name: challenge[name] for name in ("service", "scope") if name in challenge})
        config = json.loads((Path(os.environ["DOCKER_CONFIG"]) / "config.json").read_text())
        basic = config["auths"][self._host]["auth"]
        assert b":" in base64.b64decode(basic)
        request = urllib.request.Request(f"{challenge['realm']}?{query}", headers={"Authorization": f"Basic {basic}"})
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return str(json.load(answer)["token"])
        except urllib.error.HTTPError as error:
            sys.exit(f"no token: {error.code} {error.read().decode(errors='replace')}")


if __name__ == "__main__":
    main()
