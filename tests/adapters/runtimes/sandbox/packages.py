"""The smallest package of each kind that its package manager accepts."""

import base64
import hashlib
import io
import json
import tarfile
import zipfile
from email.utils import formatdate

NAME = "danube-demo"
"""A name that no registry has; it is requested from servers on the loopback only."""

GO_MODULE = "demo.example/demo"


def _tar_gz(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


def python_index() -> dict[str, bytes]:
    """A simple index (PEP 503) with one wheel, whose module prints `from the wheel`."""
    module, info = NAME.replace("-", "_"), f"{NAME.replace('-', '_')}-1.0.dist-info"
    files = {
        f"{module}.py": b"print('from the wheel')\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as wheel:
        for name, content in {**files, f"{info}/RECORD": record.encode()}.items():
            wheel.writestr(name, content)
    wheel_name = f"{module}-1.0-py3-none-any.whl"
    page = f'<!DOCTYPE html><html><body><a href="/wheels/{wheel_name}">{wheel_name}</a></body></html>'
    return {f"/simple/{NAME}/": page.encode(), f"/wheels/{wheel_name}": made.getvalue()}


def node_registry(url: str) -> dict[str, bytes]:
    """A registry with one package, whose main module prints `from the registry`."""
    description = {"name": NAME, "version": "1.0.0", "main": "index.js"}
    archive = _tar_gz(
        {
            "package/package.json": json.dumps(description).encode(),
            "package/index.js": b"console.log('from the registry')\n",
        }
    )
    sums = {
        "shasum": hashlib.sha1(archive).hexdigest(),
        "integrity": "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode(),
    }
    version = {**description, "dist": {**sums, "tarball": f"{url}/{NAME}/-/{NAME}-1.0.0.tgz"}}
    document = {"name": NAME, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
    return {f"/{NAME}": json.dumps(document).encode(), f"/{NAME}/-/{NAME}-1.0.0.tgz": archive}


def debian_archive() -> dict[str, bytes]:
    """A flat archive with one package of one file."""
    control = (
        f"Package: {NAME}\nVersion: 1.0\nArchitecture: all\nMaintainer: Tests <tests@example.org>\nDescription: demo\n"
    )
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": _tar_gz({"./control": control.encode()}),
        "data.tar.gz": _tar_gz({"./usr/share/danube-demo": b"from the archive\n"}),
    }
    package = b"!<arch>\n" + b"".join(
        f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content + b"\n" * (len(content) % 2)
        for name, content in parts.items()
    )
    index = (
        control + f"Filename: ./{NAME}.deb\nSize: {len(package)}\nSHA256: {hashlib.sha256(package).hexdigest()}\n\n"
    ).encode()
    sums = f" {hashlib.sha256(index).hexdigest()} {len(index)} Packages\n"
    release = f"Suite: demo\nDate: {formatdate(usegmt=True)}\nSHA256:\n{sums}".encode()
    return {
        "/debian/Packages": index,
        "/debian/Release": release,
        f"/debian/{NAME}.deb": package,
    }


def go_proxy() -> dict[str, bytes]:
    """A module proxy (https://go.dev/ref/mod#goproxy-protocol) with one module that prints `from the module`."""
    files = {
        "go.mod": f"module {GO_MODULE}\n".encode(),
        "demo.go": b'package demo\nimport "fmt"\nfunc Hello() { fmt.Println("from the module") }\n',
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{GO_MODULE}@v1.0.0/{name}", content)
    base, about = f"/go/{GO_MODULE}/@v", b'{"Version":"v1.0.0"}'
    versions = {f"{base}/list": b"v1.0.0\n", f"{base}/v1.0.0.info": about, f"/go/{GO_MODULE}/@latest": about}
    return {**versions, f"{base}/v1.0.0.mod": files["go.mod"], f"{base}/v1.0.0.zip": made.getvalue()}


def crates(url: str) -> dict[str, bytes]:
    """A sparse registry (RFC 2789 of Rust) with one crate that prints `from the crate`."""
    crate = _tar_gz(
        {
            f"{NAME}-1.0.0/Cargo.toml": f'[package]\nname="{NAME}"\nversion="1.0.0"\n'.encode(),
            f"{NAME}-1.0.0/src/lib.rs": b'pub fn hello() { println!("from the crate"); }\n',
        }
    )
    entry = {"name": NAME, "vers": "1.0.0", "deps": [], "features": {}, "yanked": False}
    entry["cksum"] = hashlib.sha256(crate).hexdigest()
    return {
        "/index/config.json": json.dumps({"dl": f"{url}/crates"}).encode(),
        f"/index/{NAME[:2]}/{NAME[2:4]}/{NAME}": json.dumps(entry).encode() + b"\n",
        f"/crates/{NAME}/1.0.0/download": crate,
    }
