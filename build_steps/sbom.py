"""`dist/danube-PYTHON-ARCH.cdx.json`: what is inside of the released files, as a CycloneDX 1.6 document.

https://cyclonedx.org/docs/1.6/json/. Everything is read from what was built: the packages from their metadata in the
staging tree, the page's from their lock file, the libraries from the tree of the program. There is no time in it, and
its serial number is derived from its content, so that the same build gives the same bytes.
"""

import hashlib
import json
import platform
import sys
import uuid
from collections.abc import Iterator, Mapping
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from build_steps.staging import ROOT

Component = Mapping[str, Any]

_WEB_LOCK = ROOT / "web" / "package-lock.json"


def write_sbom(site: Path, tree: Path | None, version: str, target: Path) -> Path:
    """Write the document. site: the staging tree. tree: that of the program, None if it was not built."""
    components = [
        *_packages(site),
        *_page_packages(),
        *(_of_program(tree) if tree is not None else ()),
        *_static_parts(),
    ]
    components.sort(key=lambda one: str(one["bom-ref"]))
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": _component("application", "danube", version, "Apache-2.0", "pkg:pypi/danube")},
        "components": components,
        "dependencies": [{"ref": f"pkg:pypi/danube@{version}", "dependsOn": [one["bom-ref"] for one in components]}],
    }
    content = json.dumps(document, sort_keys=True).encode()
    document["serialNumber"] = f"urn:uuid:{uuid.UUID(bytes=hashlib.sha256(content).digest()[:16], version=4)}"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    return target


def _component(kind: str, name: str, version: str, licence: str, purl: str, **more: Any) -> dict[str, Any]:
    """purl: the package URL without its version (https://github.com/package-url/purl-spec)."""
    reference = f"{purl}@{version}"
    found = {"type": kind, "name": name, "version": version, "purl": reference, "bom-ref": reference, **more}
    if licence:
        found["licenses"] = [{"expression": licence}] if _is_expression(licence) else [{"license": {"name": licence}}]
    return found


def _is_expression(licence: str) -> bool:
    """Whether it is an SPDX expression and not the title or the text of a licence."""
    return " " not in licence.replace(" AND ", "+").replace(" OR ", "+").replace(" WITH ", "+")


def _packages(site: Path) -> Iterator[Component]:
    for file in sorted(site.glob("*.dist-info/METADATA")):
        known = HeaderParser().parsestr(file.read_text(errors="replace"))
        name = str(known["Name"]).lower().replace("_", "-")
        licence = (
            known["License-Expression"]
            or _short(known["License"] or "")
            or _classified(known.get_all("Classifier") or [])
        )
        yield _component("library", name, str(known["Version"]), licence, f"pkg:pypi/{name}")


def _short(licence: str) -> str:
    """Some packages have the whole text of a licence in that field."""
    return licence if len(licence) <= 60 and "\n" not in licence else ""


def _classified(classifiers: list[str]) -> str:
    return " AND ".join(one.rpartition(" :: ")[2] for one in classifiers if one.startswith("License ::"))


def _page_packages() -> Iterator[Component]:
    """What the built page has of other projects: not what only builds it."""
    for path, known in json.loads(_WEB_LOCK.read_text())["packages"].items():
        if path and not known.get("dev"):
            name = path.rpartition("node_modules/")[2]
            yield _component(
                "library", name, known["version"], known.get("license", ""), f"pkg:npm/{name.replace('@', '%40')}"
            )


def _of_program(tree: Path) -> Iterator[Component]:
    """Python, and the libraries that were copied from the building machine: by their content, since no file of a
    library names its version."""
    python = platform.python_version()
    yield _component("platform", "cpython", python, "PSF-2.0", "pkg:generic/cpython")
    for file in sorted((tree / "python" / "lib").glob("*.so*")):
        if not file.name.startswith("libpython"):
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            hashes = [{"alg": "SHA-256", "content": digest}]
            yield _component("library", file.name, digest[:12], "", f"pkg:generic/{file.name}", hashes=hashes)


def _static_parts() -> Iterator[Component]:
    """The C library in Danube's static programs, by the compiler's package that it comes with."""
    lock = (ROOT / "requirements-release.lock").read_text()
    compiler = next(line.split()[0].partition("==")[2] for line in lock.splitlines() if line.startswith("ziglang=="))
    yield _component("library", "musl", f"ziglang-{compiler}", "MIT", "pkg:generic/musl")


def document_name() -> str:
    """The name of the file for this machine and this Python."""
    return f"danube-cp{sys.version_info.major}{sys.version_info.minor}-{platform.machine()}.cdx.json"
