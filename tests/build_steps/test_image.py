"""Danube as a container image: its form, and the real one as an ordinary user without a container engine."""

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from build_steps.image import DATA, HOME, USER, build_image
from build_steps.staging import ROOT
from tests.support.bare_root import command_in
from tests.support.released import released_programs


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree whose Python is a shell."""
    made = tmp_path / "tree"
    (made / "python" / "bin").mkdir(parents=True)
    shutil.copy("/bin/sh", made / "python" / "bin" / "python3")
    (made / "python" / "bin" / "python").symlink_to("python3")
    (made / "start.py").write_text("#")
    return made


def read_image(archive: Path) -> tuple[dict[str, Any], dict[str, tarfile.TarInfo]]:
    """(configuration, members of its layer)."""
    with tarfile.open(archive) as outer:

        def blob(digest: str) -> Any:
            return outer.extractfile(f"blobs/sha256/{digest.removeprefix('sha256:')}")

        index = json.load(outer.extractfile("index.json"))  # type: ignore[arg-type]
        manifest = json.load(blob(index["manifests"][0]["digest"]))
        configuration = json.load(blob(manifest["config"]["digest"]))
        with tarfile.open(fileobj=blob(manifest["layers"][0]["digest"]), mode="r:gz") as layer:
            return configuration, {member.name: member for member in layer}


def test_it_runs_as_a_user_without_rights_and_serves(tree: Path, tmp_path: Path) -> None:
    build_image(tree, "1.2.0", tmp_path / "image.tar")
    configuration, members = read_image(tmp_path / "image.tar")
    wanted = configuration["config"]
    assert wanted["User"] == "1000:1000"
    assert wanted["Cmd"][:2] == ["/usr/bin/danube", "serve"]
    assert configuration["history"][0]["created_by"] == "build.py image"
    for path in (HOME, DATA):
        member = members[path.lstrip("/")]
        assert (member.uid, member.gid, member.mode) == (USER, USER, 0o700)
    assert members["tmp"].mode == 0o1777
    assert members["usr/bin/danube"].mode == 0o755
    assert {"usr/bin/sh", "usr/lib/libc.so.6", "opt/danube/start.py", "mnt", "proc"} <= members.keys()
    assert {"etc/danube/danube.toml", "etc/danube/config/config.yaml"} <= members.keys()
    assert all(member.uid == 0 for name, member in members.items() if f"/{name}" not in (HOME, DATA))


def test_the_same_tree_gives_the_same_image(tree: Path, tmp_path: Path) -> None:
    first = build_image(tree, "1.2.0", tmp_path / "first.tar")
    os.utime(tree / "start.py", (0, 0))
    second = build_image(tree, "1.2.0", tmp_path / "second.tar")
    assert first.digest == second.digest
    assert (tmp_path / "first.tar").read_bytes() == (tmp_path / "second.tar").read_bytes()


def test_the_compose_file_takes_the_image_with_what_the_sandbox_needs(tree: Path, tmp_path: Path) -> None:
    service = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]["server"]
    assert service["image"].startswith("danube.internal/danube:")
    assert set(service["security_opt"]) == {"seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"}
    assert {"privileged", "cap_add"} & service.keys() == set()
    unit = (ROOT / "deploy" / "danube.container").read_text()
    assert f"Image={service['image']}" in unit
    build_image(tree, "1.2.0", tmp_path / "image.tar")
    configuration, _ = read_image(tmp_path / "image.tar")
    assert DATA in configuration["config"]["Cmd"]
    assert any(volume.endswith(f":{DATA}") for volume in service["volumes"])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The unpacked image, of the tree of the released program."""
    made = tmp_path_factory.mktemp("image")
    build_image(released_programs().tree, "1.2.0", made / "image.tar")
    place = made / "root"
    place.mkdir(mode=0o755)
    made.chmod(0o755)
    with tarfile.open(made / "image.tar") as outer:
        largest = max(outer.getmembers(), key=lambda member: member.size)
        outer.extract(largest, made)
    subprocess.run(["tar", "-xzpf", made / largest.name, "--numeric-owner", "-C", place], check=True)
    yield place
    shutil.rmtree(place)


SERVE = """
danube serve --data /var/lib/danube --listen 127.0.0.1:8080 & server=$!
until danube health > /tmp/health; do kill -0 $server; done
kill $server; wait $server; echo the starter serves
"""


@pytest.mark.long
@pytest.mark.root
def test_in_the_image_an_ordinary_user_runs_jobs(root: Path) -> None:
    """With the namespaces of a container engine, and none of its programs."""
    danubefile = "from danube import pipeline, step\n@pipeline(name='p')\ndef p():\n    step.run('echo inside')\n"
    (root / "tmp" / "danubefile.py").write_text(danubefile)
    script = f"danube --version && danube doctor; cd /tmp && danube run && {SERVE}"
    words = command_in(root, "/usr/bin/sh", "-c", script, user=USER)
    done = subprocess.run(words, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok   pod: a pod was created" in done.stdout
    assert "inside\n" in done.stdout
    assert "the starter serves\n" in done.stdout
