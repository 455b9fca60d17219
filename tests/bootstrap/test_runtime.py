"""The choice of a runtime: every kind of danube.toml is either opened with all that depends on it, or refused."""

from pathlib import Path

import pytest

from danube_pkg.adapters.runtimes.sandbox import SandboxRuntime
from danube_pkg.bootstrap.runtime import local_options, open_runtime, remove_pods
from danube_pkg.core.configuration.settings import RuntimeKind, RuntimeSettings
from danube_pkg.core.errors import Permanent
from danube_pkg.core.runtimes.pods import HOST_IMAGE
from danube_pkg.kit.records import replace
from tests.adapters.runtimes.sandbox.pods import new_pod_id, spec_of


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "run" / "grpc").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("kind", RuntimeKind)
async def test_each_kind_is_opened_or_refused_with_a_hint(data: Path, kind: RuntimeKind) -> None:
    options = replace(local_options(data), runtime=RuntimeSettings(kind=kind))
    if kind is RuntimeKind.KUBERNETES:
        with pytest.raises(Permanent) as refusal:
            async with open_runtime(options, data):
                raise AssertionError("it was opened")
        assert (refusal.value.reference, "[runtime] kind" in refusal.value.hint) == ("runtime-missing", True)
        return
    async with open_runtime(options, data) as parts:
        assert isinstance(parts.runtime, SandboxRuntime)
        assert parts.images is not None
        assert "danube_pkg.pod.coordinator" in parts.coordinator_command


async def test_pods_outlive_the_parts_and_can_be_removed(data: Path) -> None:
    options = local_options(data)
    async with open_runtime(options, data) as parts:
        spec = spec_of(new_pod_id())
        coordinator = await parts.runtime.create_pod(spec)
    try:
        async with open_runtime(options, data) as parts:
            states = await parts.runtime.list_pods()
            assert [state.containers for state in states] == [(coordinator,)]
            worker = await parts.runtime.ensure_container(spec.pod_id, HOST_IMAGE)
            assert worker.number == 1
    finally:
        await remove_pods(data)
    assert list((data / "pods").iterdir()) == []
