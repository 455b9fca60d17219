"""The program before a packed tree: what it unpacks, where, and what it refuses. The tree has a shell script as its
Python."""

import os
import random
import resource
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from build_steps.binary import pack
from build_steps.supervisor import build_stub

PYTHON = """#!/bin/sh
for word in "$@"; do echo "$word"; done
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that each kind of block of a compressed stream has to carry."""
    made = tmp_path_factory.mktemp("tree") / "tree"
    (made / "python" / "bin").mkdir(parents=True)
    (made / "python" / "bin" / "python3").write_text(PYTHON)
    (made / "python" / "bin" / "python3").chmod(0o755)
    (made / "python" / "bin" / "python").symlink_to("python3")
    (made / "start.py").touch()
    draw = random.Random(4711)
    (made / "random").write_bytes(draw.randbytes(300_000))  # stored blocks
    (made / "zeros").write_bytes(bytes(1_000_000))  # the longest matches
    words = [draw.randbytes(draw.randrange(1, 20)) for _ in range(2000)]
    (made / "text").write_bytes(b" ".join(draw.choice(words) for _ in range(60_000)))  # far and near matches
    (made / "ä name").write_text("x")
    (made / "empty").mkdir()
    return made


@pytest.fixture(scope="module")
def program(tree: Path) -> Path:
    target = tree.parent / "danube"
    pack(tree, build_stub(os.uname().machine, for_release=False), target)
    return target


def start(program: Path, cache: Path | None, *words: str, **more: object) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin"} | ({"XDG_CACHE_HOME": str(cache)} if cache is not None else {})
    return subprocess.run(
        [program, *words], env=environment, capture_output=True, text=True, timeout=60, check=False, **more  # type: ignore[call-overload]
    )  # fmt: skip


def trees(cache: Path) -> list[Path]:
    return [path for path in (cache / "danube").iterdir() if path.is_dir()]


def shown(tree: Path) -> dict[str, object]:
    """Path → (mode and content) of everything in a tree."""
    found: dict[str, object] = {}
    for path in tree.rglob("*"):
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(tree))] = (stat.S_IMODE(path.lstat().st_mode), content)
    return found


def test_the_unpacked_tree_is_the_packed_one(program: Path, tree: Path, tmp_path: Path) -> None:
    assert start(program, tmp_path).returncode == 0
    (unpacked,) = trees(tmp_path)
    assert shown(unpacked) == shown(tree)


def test_python_is_started_isolated_with_the_files_own_path_and_the_words(program: Path, tmp_path: Path) -> None:
    done = start(program, tmp_path, "run", "two words", "")
    (unpacked,) = trees(tmp_path)
    assert done.stdout.splitlines() == ["-I", "-S", f"{unpacked}/start.py", str(program), "run", "two words", ""]


def test_it_unpacks_once(program: Path, tmp_path: Path) -> None:
    start(program, tmp_path)
    (unpacked,) = trees(tmp_path)
    (unpacked / "python" / "bin" / "python3").write_text("#!/bin/sh\necho the same tree\n")
    assert start(program, tmp_path).stdout == "the same tree\n"


def test_first_starts_at_the_same_time_unpack_once(program: Path, tmp_path: Path) -> None:
    words = {"env": {"XDG_CACHE_HOME": str(tmp_path)}, "stdout": subprocess.PIPE, "text": True}
    starts = [subprocess.Popen([program, "word"], **words) for _ in range(12)]  # type: ignore[call-overload]
    assert {one.communicate(timeout=60)[0].splitlines()[-1] for one in starts} == {"word"}
    assert {one.returncode for one in starts} == {0}
    assert len(trees(tmp_path)) == 1


def test_a_start_that_is_killed_while_it_unpacks_leaves_nothing_that_counts(
    program: Path, tree: Path, tmp_path: Path
) -> None:
    """A file that grows beyond the limit ends the process by a signal, as kill -9 would."""
    limited = start(program, tmp_path, preexec_fn=_small_files)
    assert limited.returncode < 0
    assert [path.name for path in trees(tmp_path)] == ["new"]
    assert start(program, tmp_path).returncode == 0
    (unpacked,) = trees(tmp_path)
    assert shown(unpacked) == shown(tree)


def _small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))


@pytest.mark.parametrize("kept", [0.1, 0.6, 0.999])
def test_a_file_that_was_cut_is_refused(program: Path, tmp_path: Path, kept: float) -> None:
    content = program.read_bytes()
    stub = build_stub(os.uname().machine, for_release=False).stat().st_size
    cut = tmp_path / "cut"
    cut.write_bytes(content[: stub + int((len(content) - stub) * kept)])
    cut.chmod(0o755)
    done = start(cut, tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        f"danube: this file is incomplete: {cut}\n  hint: download it again, and compare its SHA-256 with SHA256SUMS\n"
    )
    assert not (tmp_path / "danube").exists()


def test_a_file_with_a_changed_byte_is_refused_and_leaves_nothing(program: Path, tmp_path: Path) -> None:
    draw = random.Random(1)
    stub = build_stub(os.uname().machine, for_release=False).stat().st_size
    content = program.read_bytes()
    for number in range(20):
        damaged = tmp_path / f"damaged-{number}"
        at = draw.randrange(stub, len(content) - 56)
        damaged.write_bytes(content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :])
        damaged.chmod(0o755)
        done = start(damaged, tmp_path)
        assert (done.returncode, done.stdout) == (1, ""), at
        assert trees(tmp_path) == [], at
        damaged.unlink()


def test_a_cache_that_others_can_write_is_refused(program: Path, tmp_path: Path) -> None:
    (tmp_path / "danube").mkdir()
    (tmp_path / "danube").chmod(0o775)
    done = start(program, tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"other users can write into {tmp_path}/danube" in done.stderr
    assert "set XDG_CACHE_HOME" in done.stderr


def test_a_cache_that_others_can_read_is_closed_to_them(program: Path, tmp_path: Path) -> None:
    (tmp_path / "danube").mkdir(mode=0o755)
    assert start(program, tmp_path).returncode == 0
    assert stat.S_IMODE((tmp_path / "danube").stat().st_mode) == 0o700


def test_a_cache_of_another_kind_is_refused(program: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "danube").symlink_to("elsewhere")
    assert f"cannot open the directory {tmp_path}/danube: Not a directory" in start(program, tmp_path).stderr


@pytest.mark.root
def test_a_cache_of_another_user_is_refused(program: Path, tmp_path: Path) -> None:
    (tmp_path / "danube").mkdir(mode=0o700)
    os.chown(tmp_path / "danube", 4711, 4711)
    done = start(program, tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"another user owns {tmp_path}/danube" in done.stderr


@pytest.mark.root
@pytest.mark.parametrize(
    ("option", "cause"),
    [("noexec", "no program may run (the disk is mounted noexec) in"), ("ro", "Read-only file system")],
)
def test_a_place_that_cannot_hold_programs_is_named_with_what_to_set(
    program: Path, tmp_path: Path, option: str, cause: str
) -> None:
    place = tmp_path / "mounted"
    place.mkdir()
    script = f"mount -t tmpfs -o {option} none {place} && exec {program}"
    words = ["unshare", "--mount", "sh", "-c", script]
    environment = {**os.environ, "XDG_CACHE_HOME": str(place)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert cause in done.stderr
    assert "hint: set XDG_CACHE_HOME to a directory of your own, on a disk that may hold programs" in done.stderr


def test_without_a_home_it_says_what_to_set(program: Path) -> None:
    done = start(program, None)
    assert done.stderr.startswith(
        "danube: there is no directory to unpack into: HOME is not set\n  hint: set XDG_CACHE_HOME"
    )


def test_a_full_disk_is_reported_with_the_file(program: Path, tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    script = f"mount -t tmpfs -o size=400k,mode=700 none {place} && exec {program}"
    words = ["unshare", "--mount", "--user", "--map-root-user", "sh", "-c", script]
    environment = {**os.environ, "XDG_CACHE_HOME": str(place)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert "No space left on device\n  hint: make room there" in done.stderr


def test_the_same_tree_gives_the_same_bytes(program: Path, tree: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(tree, copy, symlinks=True)
    os.utime(copy / "text", (0, 0))
    pack(copy, build_stub(os.uname().machine, for_release=False), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == program.read_bytes()
