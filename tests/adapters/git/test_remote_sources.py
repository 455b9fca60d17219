"""Sources on real servers, over ssh and HTTP: each kind of credential, and each kind of error."""

import subprocess
import threading
from pathlib import Path

import pytest

from danube_pkg.adapters.git.sources import GitSources
from danube_pkg.core.configuration.settings import SourceSettings
from danube_pkg.core.errors import Permanent, PlatformError, Unavailable
from danube_pkg.core.repositories.revisions import Credential, GitProgram
from tests.adapters.git.remote import (
    TOKEN,
    Known,
    mirrors,
    unpacked,
)
from tests.support.git_servers import (
    HttpServer,
    ServedRepository,
    SshServer,
    command_lines,
    git,
    make_key,
)
from tests.support.git_worker import GIT_WORKER


@pytest.mark.parametrize("program", GitProgram)
@pytest.mark.parametrize("kind", ["ssh", "http"])
async def test_a_private_repository_is_read_with_its_credential(
    tmp_path: Path,
    ssh: SshServer,
    http: HttpServer,
    app: ServedRepository,
    known: Known,
    kind: str,
    program: GitProgram,
) -> None:
    sources = GitSources(
        tmp_path / "repos",
        known,
        settings=SourceSettings(git=program),
        known_hosts=[ssh.known_hosts],
        worker=GIT_WORKER,
    )
    url = ssh.url(app) if kind == "ssh" else http.url(app)
    revision = await sources.resolve(url, "main")
    assert (revision.commit_sha, revision.branch) == (git(app.work, "rev-parse", "HEAD"), "main")
    source = await sources.open(url, revision.commit_sha)
    copy = await unpacked(source, tmp_path / "copy")
    assert source.rule == ("a-key" if kind == "ssh" else "a-token")
    assert (source.commit_message, source.commit_author) == ("second", "A")
    assert git(copy, "status", "--porcelain") == ""
    assert git(copy, "log", "--format=%s") == "second"
    assert git(copy, "remote", "get-url", "origin") == url
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert TOKEN.encode() not in everything
    assert b"PRIVATE KEY" not in everything


async def test_a_key_may_be_a_file_of_the_server(
    sources: GitSources, known: Known, ssh: SshServer, app: ServedRepository, tmp_path: Path
) -> None:
    known.credentials["ssh"] = Credential("a-file", private_key_path=str(ssh.key))
    assert (await sources.resolve(ssh.url(app), "")).branch == "main"
    wide = tmp_path / "wide"
    wide.write_bytes(ssh.key.read_bytes())
    wide.chmod(0o644)
    known.credentials["ssh"] = Credential("a-file", private_key_path=str(wide))
    with pytest.raises(Permanent, match="can be read by others") as refused:
        await sources.resolve(ssh.url(app), "")
    assert refused.value.hint == f"chmod 600 {wide}"


async def test_a_credential_is_in_no_argument_and_no_environment(
    sources: GitSources, known: Known, ssh: SshServer, http: HttpServer, app: ServedRepository
) -> None:
    seen: list[bytes] = []
    http.on_request = lambda: seen.extend(text for _, text in command_lines())
    stop = threading.Event()
    watcher = threading.Thread(target=lambda: watch(stop, seen), name="watch processes")
    watcher.start()
    try:
        await sources.resolve(http.url(app), "")
        await (await sources.open(ssh.url(app), (await sources.resolve(ssh.url(app), "")).commit_sha)).close()
    finally:
        http.on_request = lambda: None
        stop.set()
        watcher.join()
    assert any(b"danube_pkg.adapters.git.worker" in text for text in seen)
    assert any(b"\0-i\0/proc/" in text for text in seen)
    secret = ssh.key.read_text().splitlines()[1].encode()
    assert not [text for text in seen if TOKEN.encode() in text or secret in text]


def watch(stop: threading.Event, seen: list[bytes]) -> None:
    while not stop.wait(0.005):
        seen.extend(text for _, text in command_lines())


async def test_the_next_fetch_transfers_only_what_differs(
    sources: GitSources, http: HttpServer, app: ServedRepository, tmp_path: Path
) -> None:
    url = http.url(app)
    await (await sources.open(url, git(app.work, "rev-parse", "HEAD"))).close()
    third = app.commit({"README": "third\n"})
    await (await sources.open(url, third)).close()
    (mirror,) = mirrors(tmp_path)
    packs = sorted((mirror / "objects" / "pack").glob("*.pack"), key=lambda one: one.stat().st_mtime_ns)
    assert len(packs) == 2
    assert git(mirror, "cat-file", "-p", f"{third}:README") == "third"
    # The large file of the first fetch is in neither pack again: a commit, a tree, a small file, and what a delta
    # needs.
    assert "blob" not in [
        line.split()[1] for line in git(mirror, "verify-pack", "-v", str(packs[1])).splitlines() if " 400000 " in line
    ]


async def test_a_mirrored_commit_is_read_without_the_server(
    sources: GitSources, http: HttpServer, app: ServedRepository, tmp_path: Path
) -> None:
    url = http.url(app)
    commit = git(app.work, "rev-parse", "HEAD")
    await (await sources.open(url, commit)).close()
    before = len(http.requests)
    copy = await unpacked(await sources.open(url, commit), tmp_path / "copy")
    assert len(http.requests) == before
    assert (copy / "README").read_text() == "second\n"


@pytest.mark.parametrize("program", GitProgram)
async def test_an_older_commit_is_found_where_the_server_provides_only_refs(
    ssh: SshServer, app: ServedRepository, known: Known, tmp_path: Path, program: GitProgram
) -> None:
    sources = GitSources(
        tmp_path / "repos",
        known,
        settings=SourceSettings(git=program),
        known_hosts=[ssh.known_hosts],
        worker=GIT_WORKER,
    )
    first = git(app.work, "rev-parse", "HEAD~1")
    copy = await unpacked(await sources.open(ssh.url(app), first), tmp_path / "copy")
    assert (copy / "README").read_text() == "first\n"
    assert git(copy, "log", "--format=%s") == "first"


async def test_after_a_force_push_both_commits_can_be_read(
    sources: GitSources, http: HttpServer, app: ServedRepository
) -> None:
    url = http.url(app)
    before = await sources.resolve(url, "main")
    await (await sources.open(url, before.commit_sha)).close()
    git(app.work, "reset", "-q", "--hard", "HEAD~1")
    (app.work / "README").write_text("other\n")
    git(app.work, "commit", "-q", "-am", "other")
    forced = app.push("--force")
    after = await sources.resolve(url, "main")
    assert after.commit_sha == forced
    for commit, text in ((forced, b"other\n"), (before.commit_sha, b"second\n")):
        (file,) = await sources.read_files(url, commit, ["README"])
        assert file.data == text


async def test_tags_and_hashes_are_resolved(
    sources: GitSources, ssh: SshServer, http: HttpServer, app: ServedRepository
) -> None:
    git(app.work, "tag", "-a", "v1", "-m", "one", "HEAD~1")
    git(app.work, "push", "-q", "origin", "v1")
    first = git(app.work, "rev-parse", "HEAD~1")
    for url in (ssh.url(app), http.url(app)):
        tagged = await sources.resolve(url, "v1")
        assert (tagged.commit_sha, tagged.tag) == (first, "v1")
        assert (await sources.resolve(url, first)).commit_sha == first
        with pytest.raises(Permanent, match="no branch, tag or commit 'nowhere'"):
            await sources.resolve(url, "nowhere")


async def test_the_tag_of_a_job_is_fetched_with_its_object(
    sources: GitSources, ssh: SshServer, http: HttpServer, app: ServedRepository, tmp_path: Path
) -> None:
    git(app.work, "tag", "-a", "v2", "-m", "two")
    git(app.work, "push", "-q", "origin", "v2")
    head = git(app.work, "rev-parse", "HEAD")
    for name, url in (("ssh", ssh.url(app)), ("http", http.url(app))):
        copy = await unpacked(await sources.open(url, head, "v2"), tmp_path / name)
        assert git(copy, "describe", "--exact-match") == "v2"
    git(app.work, "push", "-q", "origin", ":v2")
    source = await sources.open(ssh.url(app), head, "v2")
    copy = await unpacked(source, tmp_path / "gone")
    assert git(copy, "rev-parse", "refs/tags/v2") == head
    assert any("the tag v2 could not be read" in one for one in source.notices)


async def test_a_tag_object_is_opened_as_the_commit_that_it_names(
    sources: GitSources, ssh: SshServer, app: ServedRepository, tmp_path: Path
) -> None:
    """Some deliveries of tags name the tag object alone."""
    git(app.work, "tag", "-a", "v3", "-m", "three")
    git(app.work, "push", "-q", "origin", "v3")
    source = await sources.open(ssh.url(app), git(app.work, "rev-parse", "v3"), "v3")
    copy = await unpacked(source, tmp_path / "copy")
    head = git(app.work, "rev-parse", "HEAD")
    assert (source.commit_sha, git(copy, "rev-parse", "HEAD")) == (head, head)


# --- refusals


async def refusal(sources: GitSources, url: str) -> PlatformError:
    with pytest.raises(PlatformError) as refused:
        await sources.resolve(url, "")
    assert TOKEN not in f"{refused.value} {refused.value.hint}"
    return refused.value


def fingerprint_of(key: Path) -> str:
    """As ssh-keygen prints it, and forges list it."""
    words = ["ssh-keygen", "-l", "-f", str(key)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()[1]


async def test_an_unknown_host_key_is_refused(
    tmp_path: Path, known: Known, ssh: SshServer, app: ServedRepository
) -> None:
    hosts = tmp_path / "known_hosts"
    hosts.write_text("")
    error = await refusal(GitSources(tmp_path / "repos", known, known_hosts=[hosts], worker=GIT_WORKER), ssh.url(app))
    assert error.reference == "host-key-unknown"
    assert f"ssh-keyscan -p {ssh.port} 127.0.0.1 >> {hosts}" in error.hint
    assert f"ED25519 {fingerprint_of(ssh.host_key)}" in error.cause
    other = make_key(tmp_path / "other").with_suffix(".pub").read_text()
    hosts.write_text(f"[127.0.0.1]:{ssh.port} {other}")
    error = await refusal(GitSources(tmp_path / "repos", known, known_hosts=[hosts], worker=GIT_WORKER), ssh.url(app))
    assert error.reference == "host-key-unknown"


async def test_a_wrong_credential_is_reported_with_its_rule(
    sources: GitSources, known: Known, ssh: SshServer, http: HttpServer, app: ServedRepository, tmp_path: Path
) -> None:
    known.credentials = {
        "ssh": Credential("unknown", private_key=make_key(tmp_path / "unknown").read_text()),
        "http": Credential("expired", "u", "wrong-token"),
    }
    for url, rule in ((ssh.url(app), "unknown"), (http.url(app), "expired")):
        error = await refusal(sources, url)
        assert (error.reference, isinstance(error, Permanent)) == ("source-refused", True)
        assert f"with the credential of the rule {rule!r}" in str(error)
    known.credentials = {}
    for url in (ssh.url(app), http.url(app)):
        error = await refusal(sources, url)
        assert (error.reference, error.hint) == ("source-refused", "add a rule for it to git_authentication")


async def test_an_unreachable_or_broken_server_can_be_retried(
    sources: GitSources, served: Path, known: Known, app: ServedRepository
) -> None:
    with HttpServer(served) as server:
        url = server.url(app)
        server.status = 502
        assert isinstance(await refusal(sources, url), Unavailable)
    assert isinstance(await refusal(sources, url), Unavailable)
    known.credentials = {}
    assert isinstance(await refusal(sources, "ssh://git@127.0.0.1:1/app.git"), Unavailable)


async def test_a_missing_repository_is_an_error(sources: GitSources, http: HttpServer, ssh: SshServer) -> None:
    for url in (f"http://127.0.0.1:{http.port}/none.git", f"ssh://root@127.0.0.1:{ssh.port}/none.git"):
        assert (await refusal(sources, url)).reference == "source-unavailable"
    error = await refusal(sources, "ftp://127.0.0.1/app.git")
    assert "the protocol ftp is not supported" in str(error)
