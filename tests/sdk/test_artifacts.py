"""Artifacts: a single file as it is, anything else as an archive whose bytes depend on the files only."""

import io
import os
import socket
import tarfile
from pathlib import Path

import pytest
from danube._session import Chunks, DownloadCall

from danube import DanubeError, Leg, StepResult, artifacts, reports, step
from danube_pkg.kit.trees import remove_tree
from tests.sdk.session import RecordingSession
from tests.support.trees import make_deep


def members(archive: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {member.name: member for member in opened}


def content(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        file = opened.extractfile(name)
        assert file is not None
        return file.read()


def same(one: bytes, other: bytes) -> bool:
    """Compared outside an assertion, in which pytest would compute a difference of megabytes for minutes."""
    return one == other


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """dist/ with two files, a directory, a link, and a second name of the first file."""
    dist = tmp_path / "dist"
    (dist / "sub").mkdir(parents=True)
    (dist / "b.txt").write_text("second")
    (dist / "a.txt").write_text("first")
    (dist / "sub" / "c.bin").write_bytes(os.urandom(1 << 20))
    (dist / "link").symlink_to("a.txt")
    (dist / "z.txt").hardlink_to(dist / "a.txt")
    return dist


def test_a_single_file_is_kept_as_it_is(session: RecordingSession, tree: Path) -> None:
    artifacts.upload("dist/sub/c.bin", name="program")
    assert session.uploads["program"][0] == "program"
    assert same(session.uploaded("program"), (tree / "sub" / "c.bin").read_bytes())


def test_an_sbom_is_uploaded_behind_its_subject(session: RecordingSession, tree: Path) -> None:
    (tree.parent / "bom.json").write_text("{}")
    artifacts.upload("dist", name="dist", sbom="bom.json")
    assert list(session.uploads) == ["dist", "dist.sbom.json"]
    assert session.described == {"dist": "", "dist.sbom.json": "dist"}
    assert session.uploaded("dist.sbom.json") == b"{}"
    with pytest.raises(DanubeError, match="is not one file"):
        artifacts.upload("dist", name="other", sbom="dist")


def test_the_sbom_of_an_image_is_named_after_it(session: RecordingSession, tree: Path) -> None:
    (tree.parent / "bom.json").write_text("{}")
    session.ends["Build registry.test:5000/app/web:1.0"] = lambda call: StepResult(
        call.name, "success", 0, 0.1, sequence=call.sequence, raw_output=b"sha256:" + b"ab" * 32
    )
    step.build_image(destination="registry.test:5000/app/web:1.0", sbom="bom.json")
    assert session.described == {"app-web-1.0.sbom.json": "registry.test:5000/app/web:1.0"}
    with pytest.raises(DanubeError, match="not pushed has no SBOM"):
        step.build_image(destination=None, sbom="bom.json")


def test_a_directory_that_cannot_be_read_is_refused_and_not_left_out(session: RecordingSession, tree: Path) -> None:
    """Its path is too long for any program; without the refusal the artifact would look complete."""
    make_deep(tree / "deep", 50, "d" * 200)
    artifacts.upload("dist", name="dist")
    with pytest.raises(DanubeError, match="File name too long") as refusal:
        session.uploaded("dist")
    remove_tree(tree / "deep")
    assert refusal.value.reference == "artifact-unreadable"
    assert len(str(refusal.value)) < 500


def test_a_pattern_that_matches_one_file_keeps_that_file(session: RecordingSession, tree: Path) -> None:
    artifacts.upload("dist/**/*.bin", name="program")
    assert same(session.uploaded("program"), (tree / "sub" / "c.bin").read_bytes())


def test_a_directory_becomes_an_archive_of_its_content(session: RecordingSession, tree: Path) -> None:
    artifacts.upload("dist/", name="dist")
    assert session.uploads["dist"][0] == "dist.tar.gz"
    packed = session.uploaded("dist")
    assert list(members(packed)) == [".", "a.txt", "b.txt", "link", "z.txt", "sub", "sub/c.bin"]
    assert members(packed)["link"].linkname == "a.txt"
    assert content(packed, "z.txt") == b"first"
    assert same(content(packed, "sub/c.bin"), (tree / "sub" / "c.bin").read_bytes())


def test_a_pattern_keeps_names_relative_to_the_workspace(session: RecordingSession, tree: Path) -> None:
    artifacts.upload("dist/[ab].txt", name="texts")
    assert list(members(session.uploaded("texts"))) == ["dist/a.txt", "dist/b.txt"]


def test_the_same_files_give_the_same_bytes_for_every_owner(
    session: RecordingSession, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifacts.upload("dist", name="dist")
    first = session.uploaded("dist")
    assert same(session.uploaded("dist"), first), "streamed again after a lost connection"
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    assert same(session.uploaded("dist"), first), "streamed at another time"
    assert {(m.uid, m.gid, m.uname, m.gname) for m in members(first).values()} == {(0, 0, "", "")}


def test_special_files_are_left_out(session: RecordingSession, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tree / "pipe")
    monkeypatch.chdir(tree)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("sock")
        artifacts.upload("dist", name="dist")
        names = members(session.uploaded("dist"))
    assert "a.txt" in names
    assert not {"pipe", "sock"} & set(names)


def test_a_path_that_matches_nothing_is_refused(session: RecordingSession, tree: Path) -> None:
    for path in ("missing", "dist/*.whl"):
        with pytest.raises(DanubeError, match="no file or directory matches") as refusal:
            artifacts.upload(path, name="x")
        assert refusal.value.reference == "artifact-missing"
    assert session.uploads == {}


def test_a_file_that_cannot_be_read_is_refused_by_its_name(session: RecordingSession, tree: Path) -> None:
    artifacts.upload("dist/a.txt", name="x")
    (tree / "a.txt").unlink()
    with pytest.raises(DanubeError, match=r"a\.txt' cannot be read") as refusal:
        session.uploaded("x")
    assert refusal.value.reference == "artifact-unreadable"


def test_a_pipe_alone_is_refused(session: RecordingSession, tree: Path) -> None:
    os.mkfifo(tree / "pipe")
    with pytest.raises(DanubeError, match="neither a file nor a directory"):
        artifacts.upload("dist/pip*", name="x")
    assert session.uploads == {}


@pytest.mark.parametrize("path", ["../outside.txt", "link", "linked/*.txt", "/etc/passwd", "..", "*/.."])
def test_a_path_outside_the_workspace_is_refused(session: RecordingSession, tmp_path: Path, path: str) -> None:
    outside = tmp_path.parent / "outside.txt"
    outside.write_text("a token that only the coordinator can read")
    (tmp_path / "link").symlink_to(outside)
    (tmp_path / "linked").symlink_to(tmp_path.parent)
    with pytest.raises(DanubeError, match="leads out of the workspace") as refusal:
        artifacts.upload(path, name="x")
    assert refusal.value.reference == "artifact-outside"
    assert session.uploads == {}


@pytest.mark.parametrize(("path", "name"), [("dist", "outside"), ("dist/*", "dist/outside"), (".", "dist/outside")])
def test_a_link_in_an_archive_is_kept_as_a_link(session: RecordingSession, tree: Path, path: str, name: str) -> None:
    """It is not followed, so it discloses nothing, wherever it leads."""
    (tree / "outside").symlink_to("/etc/passwd")
    artifacts.upload(path, name="dist")
    assert members(session.uploaded("dist"))[name].linkname == "/etc/passwd"


def test_a_named_link_is_followed_within_the_workspace(session: RecordingSession, tree: Path) -> None:
    (tree / "current").symlink_to("sub")
    (tree / "dangling").symlink_to("gone")
    artifacts.upload("dist/current", name="current")
    assert list(members(session.uploaded("current"))) == [".", "c.bin"]
    with pytest.raises(DanubeError, match="a link that leads nowhere") as refusal:
        artifacts.upload("dist/dangling", name="x")
    assert refusal.value.reference == "artifact-missing"


def test_a_download_names_its_source_and_its_place(session: RecordingSession, tmp_path: Path) -> None:
    assert artifacts.download("dist", pipeline="build", branch="main", path="in") == tmp_path / "in" / "dist"
    artifacts.download("dist", job="01i", allow_untrusted=True)
    assert session.downloads == [
        (DownloadCall(1, "dist", "", "build", "main", False), tmp_path / "in"),
        (DownloadCall(2, "dist", "01i", "", "", True), tmp_path / "."),
    ]


@pytest.mark.parametrize(
    ("name", "path", "reference"),
    [
        ("dist", ".", "artifact-in-the-way"),
        ("..", ".", "artifact-in-the-way"),
        ("a/b", ".", "artifact-in-the-way"),
        ("dist", "../elsewhere", "artifact-outside"),
        ("dist", "out", "artifact-outside"),
    ],
)
def test_a_download_replaces_nothing_and_stays_in_the_workspace(
    session: RecordingSession, tmp_path: Path, name: str, path: str, reference: str
) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "out").symlink_to("/tmp")
    with pytest.raises(DanubeError) as refusal:
        artifacts.download(name, pipeline="build", path=path)
    assert refusal.value.reference == reference
    assert session.downloads == []


@pytest.mark.parametrize(
    ("path", "name", "file_name"),
    [
        ("*.txt", "texts", "texts.txt"),  # one match: it keeps its ending
        ("*.txt", "texts.txt", "texts.txt"),
        ("a.txt", "texts", "texts"),
        ("*.md", "notes", "notes.tar.gz"),
    ],
)
def test_the_only_file_of_a_pattern_keeps_its_ending(
    session: RecordingSession, tmp_path: Path, path: str, name: str, file_name: str
) -> None:
    for file in ("a.txt", "b.md", "c.md"):
        (tmp_path / file).write_text(file)
    artifacts.upload(path, name=name)
    assert session.uploads[name][0] == file_name


def test_what_an_artifact_lacks_is_said(
    session: RecordingSession, tree: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def upload(sequence: int, name: str, file_name: str, chunks: Chunks, describes: str) -> None:
        assert b"".join(chunks())  # as a connection streams it

    monkeypatch.setattr(session, "upload", upload)
    (tree.parent / "tool").write_text("#!/bin/sh\n")
    (tree.parent / "tool").chmod(0o755)
    artifacts.upload("tool", name="tool")
    assert "artifact tool: 'tool' is kept without the permission to execute it" in capsys.readouterr().out
    artifacts.upload("dist", name="dist")
    assert capsys.readouterr().out == ""
    os.mkfifo(tree / "pipe")
    artifacts.upload("dist", name="with pipe")
    said = "danube: artifact with pipe is kept without 1 that is neither file, directory nor link: 'pipe'\n"
    assert capsys.readouterr().out == said


def test_what_a_step_would_have_made_that_was_left_out_is_left_out_too(
    session: RecordingSession, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session.is_partial = True
    artifacts.upload("missing", name="app", sbom="bom.json")
    assert reports.junit("report.xml").passed == reports.coverage("cov.xml").total == 0
    Leg("a", {}, str(tree), str(tree.parent)).keep("missing", "reports/a")
    said = capsys.readouterr().out
    for what in ("artifact app", "artifact app.sbom.json", "report report.xml", "'missing' of leg a"):
        assert f"danube: {what} is left out: the steps that make it did not run\n" in said
    session.is_partial = False
    with pytest.raises(DanubeError):
        artifacts.upload("missing", name="app")
