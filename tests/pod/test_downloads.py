"""An artifact of another job arrives whole under its name, or not at all."""

import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from danube._errors import DanubeError
from danube._proto import coordinator_pb2 as pb

from danube import _session, artifacts
from danube_pkg.pod.downloads import write_download
from tests.sdk.session import RecordingSession

Write = Callable[[Iterator[pb.ArtifactPart]], None]


def sending(data: bytes, file_name: str, digest: str = "") -> Callable[[Write], None]:
    """Sends it twice, as after a lost connection whose first answer was cut."""
    first = pb.ArtifactPart(file_name=file_name, sha256=digest or sha256(data).hexdigest(), job="01j")

    def parts(size: int) -> Iterator[pb.ArtifactPart]:
        yield first
        yield from (pb.ArtifactPart(data=data[at : at + 7]) for at in range(0, size, 7))

    def fetch(write: Write) -> None:
        def cut() -> Iterator[pb.ArtifactPart]:
            yield from parts(len(data) // 2)
            raise ConnectionError("lost")

        with pytest.raises(ConnectionError):
            write(cut())
        write(parts(len(data)))

    return fetch


def test_a_file_and_a_directory_are_what_was_uploaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = RecordingSession(tmp_path)
    monkeypatch.setattr(_session, "_current", session)
    dist = tmp_path / "dist"
    (dist / "sub").mkdir(parents=True)
    (dist / "tool").write_text("#!/bin/sh\n")
    (dist / "tool").chmod(0o755)
    (dist / "sub" / "link").symlink_to("../tool")
    os.link(dist / "tool", dist / "again")
    artifacts.upload("dist", name="dist")
    artifacts.upload("dist/tool", name="tool")
    target = tmp_path / "in"
    got = write_download("dist", 1, target, sending(session.uploaded("dist"), "dist.tar.gz"))
    assert got == target / "dist"
    assert sorted(path.relative_to(got).as_posix() for path in got.rglob("*")) == ["again", "sub", "sub/link", "tool"]
    assert (got / "tool").stat().st_mode & 0o777 == 0o755
    assert (got / "tool").samefile(got / "again")
    assert (got / "sub" / "link").readlink() == Path("../tool")
    assert write_download("tool", 2, target, sending(session.uploaded("tool"), "tool")).read_text() == "#!/bin/sh\n"
    assert sorted(path.name for path in target.iterdir()) == ["dist", "tool"], "nothing is left beside them"


@pytest.mark.parametrize(
    ("data", "file_name", "digest", "reference"),
    [
        (b"changed", "dist", "0" * 64, "artifact-damaged"),
        (b"no archive", "dist.tar.gz", "", "artifact-unwritable"),
    ],
)
def test_what_is_not_the_artifact_leaves_nothing(
    tmp_path: Path, data: bytes, file_name: str, digest: str, reference: str
) -> None:
    with pytest.raises(DanubeError) as refusal:
        write_download("dist", 1, tmp_path, sending(data, file_name, digest))
    assert refusal.value.reference == reference
    assert not list(tmp_path.iterdir())
