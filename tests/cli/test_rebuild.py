"""Which files of two archives differ."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from danube_pkg.cli import artifact_differences
from danube_pkg.cli.artifact_differences import differences


def archive(path: Path, files: Mapping[str, bytes], *, mode: int = 0o644, time: int = 1) -> Path:
    with tarfile.open(path, "w:gz") as made:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(content), mode, time
            made.addfile(info, io.BytesIO(content))
    return path


def test_each_file_is_named_with_what_differs(tmp_path: Path) -> None:
    one = archive(tmp_path / "1", {"same": b"a", "changed": b"a", "gone": b"a"})
    other = archive(tmp_path / "2", {"same": b"a", "changed": b"b", "new": b"a"})
    assert differences(one, other) == [("content", "changed"), ("missing", "gone"), ("added", "new")]
    again = archive(tmp_path / "3", {"same": b"a", "changed": b"a", "gone": b"a"}, mode=0o755, time=2)
    assert differences(one, again) == [("mode, time", name) for name in ("changed", "gone", "same")]


def test_files_that_are_no_archives_and_archives_with_the_same_files(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"text")
    one, other = archive(tmp_path / "1", {"a": b"", "b": b""}), archive(tmp_path / "2", {"b": b"", "a": b""})
    assert differences(one, tmp_path / "text") == []
    assert differences(one, other) == [("order or compression", "of the archive itself")]
    many = archive(tmp_path / "3", {f"{number:04}": b"" for number in range(artifact_differences.MAX_SHOWN + 5)})
    assert differences(archive(tmp_path / "4", {}), many)[-1] == ("…", "and 5 more")
