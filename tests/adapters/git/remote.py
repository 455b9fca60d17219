"""Parts of the tests of remote sources: credentials by the prefix of a URL; a source's files; the mirrors."""

import asyncio
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from danube_pkg.adapters.git.worker_source import WorkerSource
from danube_pkg.core.repositories.revisions import Credential
from tests.support.git_servers import ServedRepository, git

TOKEN = "glpat-Yw3vQ8d1kZ"


@dataclass
class Known:
    """`GitCredentials` by the prefix of a URL."""

    credentials: dict[str, Credential] = field(default_factory=dict)

    async def credential_for(self, repository: str) -> Credential:
        found = [one for start, one in self.credentials.items() if repository.startswith(start)]
        return found[0] if found else Credential()


async def unpacked(source: WorkerSource, target: Path) -> Path:
    target.mkdir()
    data = b"".join([chunk async for chunk in source.stream()])
    unpack = ["tar", "-x", "--no-same-owner", "-C", str(target)]
    await asyncio.to_thread(subprocess.run, unpack, input=data, check=True)
    return target


def mirrors(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "repos").glob("*.git"))


def add_submodule(where: ServedRepository, path: str, url: str, what: ServedRepository) -> None:
    modules = where.work / ".gitmodules"
    before = modules.read_text() if modules.exists() else ""
    modules.write_text(f'{before}[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n')
    commit = git(what.work, "rev-parse", "HEAD")
    git(where.work, "update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
    git(where.work, "add", ".gitmodules")
    # Without a checkout, `git add -A` would remove the submodule's entry.
    git(where.work, "clone", "-q", "--shared", str(what.bare), path)
