"""Danube in one file: the tree that it is made from, its first start, later starts."""

import hashlib
import importlib.util
import os
import platform
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from build_steps import launcher
from build_steps.binary import newest_glibc
from build_steps.staging import make_staging
from build_steps.supervisor import PROGRAMS, build_supervisor
from build_steps.zipapp import OLDEST_GLIBC, UNUSED, build_zipapp, install_dependencies, remove_unused, version

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree with the programs of this machine's compiler, without third-party packages."""
    directory = {build_supervisor(name).parent for name in PROGRAMS}.pop()
    return make_staging(tmp_path_factory.mktemp("staging") / "tree", {platform.machine(): directory})


@pytest.fixture(scope="module")
def zipapp(staging: Path) -> Path:
    return build_zipapp(staging, staging.parent / "danube.pyz")


def run(*words: str | Path, cwd: Path, cache: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "HOME": str(cache)}
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True, check=check, timeout=120
    )


def unpacked(cache: Path) -> list[Path]:
    """The trees in the cache; it has the lock beside them."""
    return [path for path in (cache / "danube").iterdir() if path.is_dir()]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_in_the_staging_tree_danube_is_the_sdk(staging: Path, tmp_path: Path) -> None:
    program = "import danube, danube_pkg; print(danube.pipeline.__module__, danube.__file__, danube_pkg.__file__)"
    printed = run("-c", program, cwd=staging, cache=tmp_path).stdout.split()
    assert printed == ["danube._pipeline", f"{staging}/danube/__init__.py", f"{staging}/danube_pkg/__init__.py"]
    assert not (staging / "danube.py").exists()


def test_the_staging_tree_has_the_programs_where_the_runtime_searches(staging: Path, tmp_path: Path) -> None:
    program = "from danube_pkg.adapters.programs import find_program; print(find_program('danube-step'))"
    found = run("-c", program, cwd=staging, cache=tmp_path).stdout.strip()
    assert found == str(staging / "danube_pkg" / "bin" / platform.machine() / "danube-step")
    assert os.access(found, os.X_OK)


def test_it_unpacks_once(zipapp: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert run(zipapp, "--version", cwd=tmp_path, cache=tmp_path).stdout == f"danube {version()}\n"
        trees = unpacked(tmp_path)
        assert len(trees) == 1
        marker = trees[0] / "unpacked-before"
        marker.touch()
    assert marker.exists()
    assert os.access(trees[0] / "danube_pkg" / "bin" / platform.machine() / "danube-ns", os.X_OK)


def test_it_is_executable(zipapp: Path, tmp_path: Path) -> None:
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run([zipapp, "--version"], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"danube {version()}\n"


def test_danube_is_the_sdk_also_when_started_in_the_checkout(zipapp: Path, tmp_path: Path) -> None:
    """Commands and their children import from the unpacked tree, wherever they are started."""
    run(zipapp, "--version", cwd=tmp_path, cache=tmp_path)
    (tree,) = unpacked(tmp_path)
    program = f"import sys; sys.path.insert(0, {str(tree)!r}); import danube; print(danube.pipeline, danube.__file__)"
    assert str(tree) in run("-c", program, cwd=ROOT, cache=tmp_path).stdout


def test_an_interrupted_first_start_is_repeated(zipapp: Path, tmp_path: Path) -> None:
    """A tree counts once it is renamed; what a killed start left beside it is ignored."""
    (tmp_path / "danube" / "new" / "danube_pkg").mkdir(parents=True)
    assert run(zipapp, "--version", cwd=tmp_path, cache=tmp_path).stdout == f"danube {version()}\n"
    assert len(unpacked(tmp_path)) == 1
    assert not (tmp_path / "danube" / "new").exists()


def test_first_starts_at_the_same_time_unpack_once(zipapp: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    words = [sys.executable, str(zipapp), "--version"]
    starts = [subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [one.communicate(timeout=60)[0] for one in starts] == [f"danube {version()}\n"] * len(starts)
    assert len(unpacked(tmp_path)) == 1


def test_its_cache_is_closed_to_other_users(zipapp: Path, tmp_path: Path) -> None:
    (tmp_path / "danube").mkdir(mode=0o755)
    run(zipapp, "--version", cwd=tmp_path, cache=tmp_path)
    assert stat.S_IMODE((tmp_path / "danube").stat().st_mode) == 0o700


def test_the_umask_of_a_unit_does_not_close_the_tree_to_the_users_of_pods(zipapp: Path, tmp_path: Path) -> None:
    """The server's unit has the umask 0077, and pods of other users run programs of the tree."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, str(zipapp), "--version"], env=environment, umask=0o077, check=True)
    (tree,) = unpacked(tmp_path)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tree, *tree.rglob("*/"))} == {0o755}


def test_a_place_that_cannot_be_used_is_named_with_what_to_set(zipapp: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run(zipapp, "--version", cwd=tmp_path, cache=tmp_path / "file", check=False)
    assert done.returncode == 1
    assert f"cannot use the directory {tmp_path}/file/danube: Not a directory" in done.stderr
    assert "set XDG_CACHE_HOME" in done.stderr


def test_the_same_tree_gives_the_same_bytes(staging: Path, zipapp: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(staging, copy, ignore=shutil.ignore_patterns("__pycache__"))
    assert digest(build_zipapp(copy, tmp_path / "again.pyz")) == digest(zipapp)


def test_a_cache_that_others_can_write_is_refused_with_a_hint(zipapp: Path, tmp_path: Path) -> None:
    place = tmp_path / "danube"
    place.mkdir()
    place.chmod(0o777)
    done = run(zipapp, "--version", cwd=tmp_path, cache=tmp_path, check=False)
    assert done.returncode == 1
    assert f"chmod go-w {place}" in done.stderr


def test_another_python_is_refused_with_the_right_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "PYTHON", "cp399")
    monkeypatch.setattr(launcher, "MACHINE", "vax")
    with pytest.raises(SystemExit, match="this file is for Python cp399 on vax"):
        launcher.main()


def test_its_outer_archive_has_few_members(zipapp: Path) -> None:
    """Python reads the whole directory of the outer archive at each start."""
    assert zipfile.ZipFile(zipapp).namelist() == ["__main__.py", "site.zip"]


def test_the_access_to_a_cluster_works_without_the_unused_modules(tmp_path: Path) -> None:
    found = importlib.util.find_spec("kubernetes")
    assert found is not None
    assert found.submodule_search_locations
    source = Path(found.submodule_search_locations[0])
    used = [path for path in source.rglob("*.py") if path.parent.relative_to(source.parent).as_posix() not in UNUSED]
    assert len(used) < 400
    for path in [*used, *(source.parent / package / "__init__.py" for package in UNUSED)]:
        target = tmp_path / path.relative_to(source.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path)
    for package in UNUSED:
        (tmp_path / package / "unused_model.py").touch()
    remove_unused(tmp_path)
    assert not list(tmp_path.rglob("unused_model.py"))
    program = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}]; import kubernetes; assert {str(tmp_path)!r} in kubernetes.__file__;"
        "import danube_pkg.adapters.runtimes.kubernetes.access as access; print(access.Configuration().host)"
    )
    assert run("-c", program, cwd=ROOT, cache=tmp_path).stdout


@pytest.mark.long
def test_with_its_dependencies_it_runs_the_example(staging: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(staging, whole, ignore=shutil.ignore_patterns("__pycache__"))
    install_dependencies(whole)
    assert not list(whole.glob("setuptools*"))
    found, file = newest_glibc(whole)
    assert found <= (2, OLDEST_GLIBC), f"{file} needs glibc {found[0]}.{found[1]}"
    packed = build_zipapp(whole, tmp_path / "danube.pyz")
    shutil.copytree(ROOT / "examples" / "python-package", tmp_path / "app")
    # Only its own packages: -I ignores the environment, -S the site-packages of this Python.
    done = run("-I", "-S", packed, "run", cwd=tmp_path / "app", cache=tmp_path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "job success" in done.stdout
