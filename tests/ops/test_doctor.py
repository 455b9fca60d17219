"""The doctor: every check passes on a machine that can run pods; elsewhere each failure names what fixes it."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from danube_pkg.adapters.programs import CoordinatorProgram
from danube_pkg.adapters.runtimes.sandbox.id_maps import IdMap
from danube_pkg.adapters.runtimes.sandbox.id_ranges import has_ids_for_pods
from danube_pkg.adapters.runtimes.sandbox.pod_disks import PodDisks
from danube_pkg.adapters.runtimes.sandbox.runtime import SandboxRuntime
from danube_pkg.core.errors import HostLacks
from danube_pkg.kit.records import replace
from danube_pkg.ops import doctor
from danube_pkg.ops.doctor import CheckResult, check_data_directory, check_filter, check_kernel, check_pod, diagnose
from tests.adapters.runtimes.sandbox.pods import settings_of

ROOT = Path(__file__).resolve().parents[2]

DIAGNOSE = """
import asyncio, json, pathlib, sys
from danube_pkg.kit.records import to_builtins
from danube_pkg.ops.doctor import diagnose
from tests.adapters.runtimes.sandbox.pods import settings_of
found = asyncio.run(diagnose(settings_of(pathlib.Path(sys.argv[1]))))
print(json.dumps([to_builtins(finding) for finding in found]))
"""


async def diagnose_as_root_of_a_container(data: Path, prepare: str) -> dict[str, dict[str, Any]]:
    """The findings, by name, in a user namespace with one id: as root of a rootless container has it."""
    words: Sequence[str] = (
        "unshare", "--user", "--map-root-user", "--mount",
        "/bin/sh", "-c", f'{prepare}; exec "$@"', "sh", sys.executable, "-c", DIAGNOSE, str(data),
    )  # fmt: skip
    child = await asyncio.create_subprocess_exec(*words, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    output, _ = await child.communicate()
    assert child.returncode == 0
    return {finding["name"]: finding for finding in json.loads(output)}


async def test_every_check_passes_on_this_machine(tmp_path: Path) -> None:
    findings = await diagnose(settings_of(tmp_path))
    assert [finding.name for finding in findings] == [
        "kernel", "filter", "bubblewrap", "installation", "ids", "limits", "memory", "pod disks", "data directory", "pod",
    ]  # fmt: skip
    assert [finding for finding in findings if not finding.ok] == []
    assert findings[-1].what.endswith("containers share images by overlays")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


async def test_what_limits_a_pods_disk_is_named(tmp_path: Path) -> None:
    finding = await doctor.check_disks(tmp_path)
    by_kernel = has_ids_for_pods() and not await PodDisks(tmp_path).problem()
    assert finding.ok
    assert finding.what.startswith("each pod has a file system of its own") == by_kernel
    assert ("measured every second" in finding.what) == ("as root" in finding.hint) == (not by_kernel)


def test_a_user_with_one_id_learns_what_that_means_and_what_changes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "has_ids_for_pods", lambda: False)
    problem = IdMap("0 1 1", "0 1 1", problem="newuidmap is not here", hint="apt-get install uidmap")
    monkeypatch.setattr(doctor, "map_of_user", lambda program: problem)
    finding = doctor.check_ids(Path("danube-ns"))
    assert (finding.ok, finding.hint) == (True, "apt-get install uidmap")
    assert "apt-get, chown and su do not work in images: newuidmap is not here" in finding.what


def test_a_user_who_may_not_protect_the_server_learns_what_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "lower_oom_score", lambda wanted: False)
    finding = doctor.check_oom_score()
    assert (finding.ok, finding.hint) == (True, "in the server's systemd unit: OOMScoreAdjust=-500")


async def test_root_of_a_container_with_one_id_can_create_pods(tmp_path: Path) -> None:
    found = await diagnose_as_root_of_a_container(tmp_path, "true")
    assert [name for name, finding in found.items() if not finding["ok"]] == []


async def test_disabled_namespaces_are_reported_with_their_setting(tmp_path: Path) -> None:
    switch = "/proc/sys/user/max_user_namespaces"
    found = await diagnose_as_root_of_a_container(tmp_path, f"echo 0 > {switch}")
    assert [name for name, finding in found.items() if not finding["ok"]] == ["pod"]
    assert switch in found["pod"]["what"]
    assert found["pod"]["hint"] == "sysctl -w user.max_user_namespaces=15000"


async def test_a_missing_bubblewrap_is_reported_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> Path:
        raise HostLacks("bubblewrap-missing", "there is no bubblewrap", hint="apt-get install bubblewrap")

    monkeypatch.setattr(doctor, "find_bubblewrap", missing)
    assert await doctor.check_bubblewrap() == CheckResult(
        "bubblewrap", False, "there is no bubblewrap", "apt-get install bubblewrap"
    )


async def test_a_bubblewrap_that_fails_or_does_not_start_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    for program in ("/bin/false", "/etc/passwd"):
        monkeypatch.setattr(doctor, "find_bubblewrap", lambda program=program: Path(program))
        finding = await doctor.check_bubblewrap()
        assert (finding.ok, finding.hint) == (False, "apt-get install bubblewrap")


def test_an_installation_that_pods_cannot_read_is_reported_with_its_fix(tmp_path: Path) -> None:
    """As after `umask 077; git clone`. Pods that have the server's own user can read everything."""
    places = [tmp_path / "danube" / name for name in ("open", "closed", "closed-too")]
    for place, mode in zip(places, (0o755, 0o700, 0o750), strict=True):
        place.mkdir(parents=True)
        place.chmod(mode)
    mounts = tuple((place, f"/.danube/program/{place.name}") for place in places)
    finding = doctor.check_installation(CoordinatorProgram(mounts, {}))
    assert finding.ok == (os.geteuid() != 0)
    if not finding.ok:
        assert f"{places[1]} and 1 more" in finding.what
        assert finding.hint == f"chmod -R go+rX {places[1]} {places[2]}"


async def test_a_lower_limit_of_processes_than_that_of_pods_stays(tmp_path: Path) -> None:
    """Engines give containers one, and none of its processes may raise it again. Without control groups it counts."""
    without_groups = "mount -t tmpfs none /sys/fs/cgroup"
    found = await diagnose_as_root_of_a_container(tmp_path, f"{without_groups}; prlimit --nproc=900:900 --pid $$")
    assert found["pod"]["ok"], found["pod"]


async def test_a_machine_without_overlays_passes_with_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(*_: object) -> str:
        return "no such file system"

    monkeypatch.setattr(SandboxRuntime, "overlay_problem", none)
    finding = await check_pod(settings_of(tmp_path))
    assert finding.ok
    assert "each container gets a copy of its image" in finding.what
    assert "5.19" in finding.hint


async def test_a_missing_program_is_reported(tmp_path: Path) -> None:
    finding = await check_pod(replace(settings_of(tmp_path), namespaces=Path("/no/danube-ns")))
    assert (finding.ok, "/no/danube-ns" in finding.what) == (False, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


async def test_a_pod_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """The holder starts, the container does not: the supervisor is not a program."""
    broken = tmp_path / "broken"
    broken.write_text("not a program")
    finding = await check_pod(replace(settings_of(tmp_path), supervisor=broken))
    assert not finding.ok
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "run"]


@pytest.mark.parametrize(
    ("system", "release", "ok"),
    [
        ("Linux", "6.1.0-21-amd64", True),
        ("Linux", "5.10", True),
        ("Linux", "5.4.0-150-generic", False),
        ("Linux", "4.19", False),
        ("Darwin", "23.4.0", False),
    ],
)
def test_kernels(system: str, release: str, ok: bool) -> None:
    finding = check_kernel(system, release)
    assert (finding.ok, bool(finding.hint)) == (ok, not ok)


def test_machines() -> None:
    assert [check_filter(machine).ok for machine in ("x86_64", "aarch64", "riscv64")] == [True, True, False]


def test_data_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_data_directory(tmp_path).ok
    assert "install -d" in check_data_directory(tmp_path / "none").hint
    monkeypatch.setattr(doctor, "FREE_BYTES", 1 << 62)
    assert "MB left" in check_data_directory(tmp_path).what
