"""The image from this machine's Python: its files in containers, the same bytes each time, a registry that gets it."""

import encodings
import json
import os
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO, cast

import pytest
import pytest_asyncio

from danube_pkg import __version__
from danube_pkg.adapters.coordinator_image.archive import WrittenImage, write_image
from danube_pkg.adapters.coordinator_image.contents import collect
from danube_pkg.adapters.images.archives import open_archive
from danube_pkg.adapters.images.pushing import RegistryPusher
from danube_pkg.adapters.programs import coordinator_files
from danube_pkg.bootstrap.coordinator_image import coordinator_recipe, write_coordinator_image
from danube_pkg.core.errors import Permanent, Unavailable
from danube_pkg.core.images.coordinator import SUPERVISOR_PATH, CoordinatorFiles, coordinator_reference
from danube_pkg.core.images.reference import parse_reference
from danube_pkg.core.images.registries import RegistryEndpoint, RegistrySpec
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.http_client import no_proxy
from danube_pkg.kit.records import replace
from danube_pkg.pod.place_supervisor import SOURCE
from tests.adapters.images.containers import ImagePods, open_image_pods
from tests.adapters.images.setup import open_image_setup
from tests.adapters.images.test_registry_catalog import Access
from tests.support.danube_process import run_danube
from tests.support.image_layouts import MACHINE
from tests.support.ports import free_port
from tests.support.registry import Registry, serving

NAME = coordinator_reference(__version__)


def small_files(directory: Path) -> CoordinatorFiles:
    """This Python with the few modules that it needs to start, and two packages."""
    library, package = directory / "library", directory / "packages" / "hello"
    (library / "lib-dynload").mkdir(parents=True)
    (library / "test").mkdir()
    (library / "test" / "big.py").write_text("tests = 1\n")
    (library / "os.py").write_text(Path(os.__file__).read_text())
    (library / "lib-dynload" / "README").write_text("Python expects this directory to have something\n")
    (library / "encodings").mkdir()
    for name in ("__init__.py", "aliases.py", "ascii.py", "latin_1.py", "utf_8.py"):
        (library / "encodings" / name).symlink_to(Path(encodings.__file__).parent / name)
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("WORD = 'hello'\n")
    (package / "template.py").write_text("not python {{ }}\n")
    return replace(coordinator_files(), standard_library=(library,), packages=((package, "hello"),))


def written(path: Path, files: CoordinatorFiles) -> WrittenImage:
    return write_image(path, collect(files), coordinator_recipe())


@pytest_asyncio.fixture
async def pods(tmp_path: Path) -> AsyncIterator[ImagePods]:
    (tmp_path / "pods").mkdir()
    async with open_image_pods(tmp_path / "pods") as made:
        yield made


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with serving(tmp_path / "registry") as running:
        yield running


async def load(pods: ImagePods, path: Path) -> str:
    """As `danube image load`; the name in the file."""
    with open_archive(path, pods.scratch) as archive:
        (found,) = archive.images(MACHINE)
        (image,) = await pods.setup.images.load(found, found.names)
        return image.name


async def test_python_and_a_shell_run_in_its_containers_and_not_as_root(tmp_path: Path, pods: ImagePods) -> None:
    written(tmp_path / "image.tar", small_files(tmp_path))
    name = await load(pods, tmp_path / "image.tar")
    assert name == NAME
    container = await pods.container(name)
    program = "import hello, sys; print(hello.WORD, sys.prefix, hello.__cached__)"
    tag = coordinator_files().version.replace(".", "")
    compiled = f"/usr/lib/danube/hello/__pycache__/__init__.cpython-{tag}.pyc"
    assert await pods.sh(container, f'python3 -S -c "{program}"; pwd') == f"hello /usr {compiled}\n/workspace\n"
    assert str(SOURCE) == SUPERVISOR_PATH
    assert await pods.sh(container, f"{SUPERVISOR_PATH} version; test -r {SUPERVISOR_PATH}") == "danube-step 1\n"
    assert await pods.sh(container, "echo ~; echo mine > ~/file; test ! -w /usr/bin") == "/home/danube\n"


async def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    files = small_files(tmp_path)
    first, second = written(tmp_path / "one.tar", files), written(tmp_path / "two.tar", files)
    assert first.digest == second.digest
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_what_no_danubefile_needs_is_left_out(tmp_path: Path) -> None:
    paths = [entry.path for entry in collect(small_files(tmp_path))]
    assert not [path for path in paths if "/test" in path or path.endswith(".a")]
    assert "usr/lib/danube/hello/template.py" in paths
    assert not [path for path in paths if "template.cpython" in path]


def test_a_package_without_its_libraries_is_refused_and_a_module_of_the_standard_library_left_out(
    tmp_path: Path,
) -> None:
    files = small_files(tmp_path)
    data = files.interpreter.read_bytes()
    assert data.count(b"libc.so.6\0")
    module = tmp_path / "library" / "lib-dynload" / "_extra.so"
    module.write_bytes(data.replace(b"libc.so.6\0", b"libq.so.6\0"))
    assert "_extra" not in str([entry.path for entry in collect(files)])
    lost = replace(files, packages=((module, "extra.so"),), standard_library=())
    with pytest.raises(Permanent, match=r"needs libq\.so\.6") as refused:
        collect(lost)
    assert refused.value.hint


async def test_a_registry_gets_it_and_serves_it(tmp_path: Path, registry: Registry) -> None:
    made = written(tmp_path / "image.tar", small_files(tmp_path))
    endpoint = RegistryEndpoint(f"http://{registry.host}", registry.host, mirror=False)
    lines: list[str] = []
    pusher = RegistryPusher(endpoint, Access(None), SystemClock(), "test", no_proxy, lines.append)
    reference = parse_reference(f"{registry.host}/danube/coordinator:1", registry.host)
    assert await pusher.push(made.packed, reference) == made.digest
    assert lines
    sent = len(lines)
    assert await pusher.push(made.packed, reference) == made.digest  # nothing is sent again
    assert len(lines) == sent
    await pusher.close()
    async with open_image_setup(tmp_path / "setup", RegistrySpec(registry.host, insecure=True)) as setup:
        image = await setup.pull(str(reference))
    assert image.digest == made.digest
    assert image.config.user == "1000:1000"


async def test_a_push_that_fails_says_why(tmp_path: Path) -> None:
    made = written(tmp_path / "image.tar", small_files(tmp_path))
    with serving(tmp_path / "closed", account=True) as closed:
        endpoint = RegistryEndpoint(f"http://{closed.host}", closed.host, mirror=False)
        pusher = RegistryPusher(endpoint, Access(None), SystemClock(), "test", no_proxy, lambda line: None)
        with pytest.raises(Permanent, match="does not take") as denied:
            await pusher.push(made.packed, parse_reference(f"{closed.host}/a:1", closed.host))
        assert "docker login" in denied.value.hint
        await pusher.close()
    host = f"127.0.0.1:{free_port()}"
    pusher = RegistryPusher(
        RegistryEndpoint(f"http://{host}", host, mirror=False),
        Access(None),
        SystemClock(),
        "t",
        no_proxy,
        lambda line: None,
    )
    with pytest.raises(Unavailable, match="cannot be used now"):
        await pusher.push(made.packed, parse_reference(f"{host}/a:1", host))
    await pusher.close()


@pytest.mark.long
async def test_the_real_image_runs_the_coordinator(tmp_path: Path, pods: ImagePods) -> None:
    first = write_coordinator_image(tmp_path / "one.tar")
    second = write_coordinator_image(tmp_path / "two.tar")
    assert first.digest == second.digest
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    container = await pods.container(await load(pods, tmp_path / "one.tar"))
    await pods.sh(container, 'python3 -c "import danube, grpc, ssl, sqlite3, ctypes, asyncio"')
    await pods.sh(container, 'python3 -s -S -c "import danube_pkg.pod.coordinator"')


@pytest.mark.long
def test_the_command_writes_it_and_pushes_it(tmp_path: Path, registry: Registry) -> None:
    words = (
        "image",
        "coordinator",
        "--out",
        "image.tar",
        "--push",
        f"{registry.host}/ci/coordinator",
        "--http",
        "--json",
    )
    done = run_danube(words, dict(os.environ), tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["pushed"] == f"{registry.host}/ci/coordinator:{__version__}@{said['digest']}"
    with tarfile.open(tmp_path / "image.tar") as archive:
        index = json.load(cast("IO[bytes]", archive.extractfile("index.json")))
    (entry,) = index["manifests"]
    assert (entry["digest"], entry["annotations"]["org.opencontainers.image.ref.name"]) == (said["digest"], NAME)
