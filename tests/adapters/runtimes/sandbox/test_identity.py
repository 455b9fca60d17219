"""Pods belong to one data directory: a server that opens a copy of it touches no pod of the original."""

import shutil
from pathlib import Path

from danube_pkg.core.runtimes.pods import ContainerRole, Limits
from danube_pkg.kit.directory_identity import identify
from tests.adapters.runtimes.sandbox.pods import Pods, new_runtime, spec_of

SMALL = Limits(workspace_bytes=32 << 20)
"""The file system of a pod is copied with the directory."""


def copied(original: Path, copy: Path) -> Path:
    """A copy without sockets, which `cp -a` makes without a listener, and without the copy of the supervisor, which an
    ordinary user cannot read."""

    def left_out(_: str, names: list[str]) -> set[str]:
        return {name for name in names if name.endswith(".sock") or name.startswith("danube-step")}

    shutil.copytree(original, copy, symlinks=True, ignore=left_out)
    return copy


async def test_a_copy_that_is_opened_beside_the_original_ends_none_of_its_pods(pods: Pods, tmp_path: Path) -> None:
    coordinator, worker = await pods.pod(limits=SMALL)
    opened = new_runtime(copied(pods.data, tmp_path / "copy"))
    states = await opened.list_pods()
    assert [(state.pod_id, state.containers, state.complete) for state in states] == [(worker.pod_id, (), False)]
    await opened.delete_pod(worker.pod_id)
    await opened.close()
    assert list((tmp_path / "copy" / "pods").iterdir()) == []
    assert await pods.shell(worker, "echo runs") == (0, b"runs\n")
    assert await pods.shell(coordinator, "echo runs") == (0, b"runs\n")
    assert pods.data.joinpath("pods", worker.pod_id, "workspace").is_dir()


async def test_a_copy_creates_a_pod_of_the_same_id_beside_the_originals(pods: Pods, tmp_path: Path) -> None:
    """A job that was waiting for its pod when the copy was made has it in both directories."""
    coordinator, _ = await pods.pod(limits=SMALL)
    opened = new_runtime(copied(pods.data, tmp_path / "copy"))
    second = await opened.create_pod(spec_of(coordinator.pod_id))
    assert second.role is ContainerRole.COORDINATOR
    assert opened.container_process(second) != pods.runtime.container_process(coordinator)
    await opened.delete_pod(coordinator.pod_id)
    await opened.close()
    assert await pods.shell(coordinator, "echo runs") == (0, b"runs\n")


async def test_the_process_that_holds_a_pod_names_its_directory_and_its_pod(pods: Pods) -> None:
    coordinator, _ = await pods.pod()
    holder = pods.runtime.holder_process(coordinator.pod_id)
    environment = Path(f"/proc/{holder}/environ").read_bytes().split(b"\0")
    assert f"DANUBE_POD={identify(pods.data).id}/{coordinator.pod_id}".encode() in environment
