"""What /usr links to is shown where every user may read it, and is an empty file elsewhere: no link leads nowhere."""

import contextlib
import socket
from pathlib import Path

import pytest

from danube_pkg.adapters.runtimes.sandbox.host_links import PLACEHOLDER, HostLinks, select_host_links, targets_outside


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (
        "usr/lib/jvm/conf",
        "usr/share/maven",
        "etc/java-17/security",
        "etc/maven",
        "etc/ssl/private",
        "opt/x",
    ):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "etc" / "environment").write_text("http_proxy=http://me:word@proxy.test")
    (tmp_path / "etc" / "java-17" / "security" / "policy").touch()
    (tmp_path / "etc" / "ssl" / "private").chmod(0o700)
    return tmp_path


def link(root: Path, name: str, target: str) -> None:
    (root / "usr" / name).symlink_to(target)


def found(root: Path, *others: str) -> HostLinks:
    return select_host_links(root, targets_outside(root, "/usr"), others)


def test_the_directory_of_a_package_is_shown_once(root: Path) -> None:
    link(root, "lib/jvm/conf/policy", "/etc/java-17/security/policy")
    link(root, "lib/jvm/conf/security", "/etc/java-17/security")
    link(root, "share/maven/conf", "../../../etc/maven")
    link(root, "share/tool", "/opt/x")
    assert found(root) == HostLinks(("/etc/java-17", "/etc/maven", "/opt/x"), ())


def test_what_not_every_user_may_read_or_may_have_credentials_is_an_empty_file(root: Path) -> None:
    link(root, "lib/private", "/etc/ssl/private")
    link(root, "lib/environment", "/etc/environment")
    assert found(root) == HostLinks((), ("/etc/environment", f"/etc/ssl/private/{PLACEHOLDER}"))


def test_what_is_mounted_anyway_or_is_missing_outside_too_is_left_out(root: Path) -> None:
    link(root, "lib/own", "/usr/share/maven")
    link(root, "lib/listed", "/etc/maven/m2.conf")
    link(root, "lib/gone", "/etc/gone/file")
    link(root, "lib/process", "/proc/self")
    (root / "etc" / "maven" / "m2.conf").touch()
    assert found(root, "/etc/maven") == HostLinks((), ())


def test_links_of_what_is_shown_are_followed(root: Path) -> None:
    link(root, "share/maven/conf", "/etc/maven")
    (root / "etc" / "maven" / "more").symlink_to("/opt/x")
    assert found(root).shown == ("/etc/maven", "/opt/x")


def test_state_homes_and_sockets_of_the_machine_are_never_shown(root: Path) -> None:
    for number, name in enumerate(("home/dev/package", "var/lib/tool", "srv/data", "root/tool", "mnt/disk")):
        (root / name).mkdir(parents=True)
        link(root, f"lib/{number}", f"/{name}")
    (root / "etc" / "maven" / "state").symlink_to("/var/lib/tool")
    link(root, "share/maven/conf", "/etc/maven")
    with socket.socket(socket.AF_UNIX) as listening, contextlib.chdir(root / "etc"):
        listening.bind("socket")
        link(root, "lib/socket", "/etc/socket")
        shown = found(root)
    assert shown.shown == ("/etc/maven",)
    assert f"/home/dev/package/{PLACEHOLDER}" in shown.empty
    assert "/etc/socket" in shown.empty
