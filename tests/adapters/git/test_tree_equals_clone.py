"""The tree of a job beside the one that `git clone` makes of the same commit: names, modes, links, bytes."""

import os
import random
import stat
from pathlib import Path

import pytest
from dulwich.index import commit_tree
from dulwich.objects import Blob, Commit
from dulwich.refs import Ref
from dulwich.repo import Repo

from danube_pkg.adapters.git.sources import GitSources
from tests.adapters.git.remote import unpacked
from tests.support.git_servers import git
from tests.support.git_worker import GIT_WORKER

CONTENTS = [
    b"",
    b"one line\n",
    b"a\nb\nc\n",
    b"a\r\nb\r\n",
    b"mixed\r\nand\nlines\n",
    b"no newline",
    b"\x00binary\n\xff\n",
    "gr\u00fc\u00dfe\n\u20ac\n".encode(),
    b"$Id$ and $Id: 0123 $ and $Id: of another system $\n",
    b"* text\n",
    b"version https://example.org/not-lfs\n",
]
NAMES = [
    "a.txt",
    "b.bat",
    "c.u16",
    "d.id",
    "e.bin",
    "f.sh",
    "name with space.txt",
    "n\u00e4me.txt",
    "-dash",
    "Icon\r",
    "tab\tname",
]
TARGETS = [b"a.txt", b"../nowhere", b"/etc/hostname", b"deep"]
ATTRIBUTES = [
    "*.bat text eol=crlf",
    "*.txt text=auto",
    "*.txt text=auto eol=crlf",
    "*.txt -text",
    "*.u16 text working-tree-encoding=UTF-16LE-BOM",
    "*.u16 text working-tree-encoding=UTF-16",
    "*.u16 working-tree-encoding=latin-1",
    "*.id ident",
    "*.bin binary",
    "* text=auto",
    "*.sh text eol=lf",
    "[attr]windows text eol=crlf",
    "*.txt windows",
    "/a.txt eol=crlf",
    "deep/** text eol=crlf",
    "*.bat !eol",
    "*.txt export-ignore",
    "# a comment",
]


def furnish(path: Path, seed: int) -> str:
    """A repository with odd content, drawn from the seed; returns its commit. Blobs are as they are, also those that an
    attribute would have changed on the way in."""
    chance = random.Random(seed)
    path.mkdir()
    with Repo.init(str(path), default_branch=b"main") as repo:
        entries: dict[bytes, tuple[bytes, int]] = {}
        for directory in ("", "deep/", "deep/er/", "\u00fcber/"):
            for name in chance.sample(NAMES, 6):
                entries[os.fsencode(directory + name)] = (chance.choice(CONTENTS), chance.choice([0o100644, 0o100755]))
            if chance.random() < 0.8:
                lines = "\n".join(chance.sample(ATTRIBUTES, chance.randint(1, 6))) + "\n"
                entries[os.fsencode(f"{directory}.gitattributes")] = (lines.encode(), 0o100644)
            if chance.random() < 0.4:
                entries[os.fsencode(f"{directory}link")] = (chance.choice(TARGETS), 0o120000)
        blobs = []
        for path_in_tree, (data, mode) in entries.items():
            blob = Blob.from_string(data)
            repo.object_store.add_object(blob)
            blobs.append((path_in_tree, blob.id, mode))
        commit = Commit()
        commit.tree = commit_tree(repo.object_store, blobs)
        commit.author = commit.committer = b"A <a@example.org>"
        commit.author_time = commit.commit_time = 1_800_000_000
        commit.author_timezone = commit.commit_timezone = 0
        commit.message = b"odd content"
        repo.object_store.add_object(commit)
        repo.refs[Ref(b"refs/heads/main")] = commit.id
        return commit.id.decode()


def tree_of(path: Path) -> dict[bytes, tuple[int, bytes]]:
    """Name → (mode, bytes or target) of each entry but `.git`."""
    found = {}
    for directory, directories, files in os.walk(os.fsencode(path)):
        directories[:] = [one for one in directories if one != b".git"]
        for name in [*directories, *files]:
            entry = os.path.join(directory, name)
            mode = os.lstat(entry).st_mode
            if stat.S_ISLNK(mode):
                content = os.readlink(entry)
            else:
                content = b"" if stat.S_ISDIR(mode) else Path(os.fsdecode(entry)).read_bytes()
            found[os.path.relpath(entry, os.fsencode(path))] = (mode, content)
    return found


@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(6, 30))])
async def test_the_tree_is_that_of_git_clone(tmp_path: Path, seed: int) -> None:
    commit = furnish(tmp_path / "app", seed)
    git(tmp_path, "clone", "-q", "app", "clone")
    source = await GitSources(tmp_path / "repos", worker=GIT_WORKER).open(str(tmp_path / "app"), commit)
    await unpacked(source, tmp_path / "job")
    assert tree_of(tmp_path / "job") == tree_of(tmp_path / "clone")
    assert git(tmp_path / "job", "status", "--porcelain") == git(tmp_path / "clone", "status", "--porcelain")
