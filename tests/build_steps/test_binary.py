"""The released program alone: on a machine that has the GNU C library, a shell, tar and gzip; no Python, no network."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from build_steps.binary import newest_glibc
from build_steps.interpreter import LEFT_OUT
from build_steps.supervisor import ROOT
from danube_pkg.core.images.coordinator import CODE_PATH
from tests.support.bare_root import command_in
from tests.support.ports import free_port
from tests.support.released import ReleasedPrograms, released_programs

pytestmark = [pytest.mark.long, pytest.mark.root]

PROGRAMS = ("sh", "tar", "gzip")
GLIBC = "libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libutil.so.1 libresolv.so.2 libnss_files.so.2 libnss_dns.so.2"

MODULES = (
    "argparse, asyncio, bz2, concurrent.futures, csv, ctypes, decimal, difflib, email.message, hashlib, html, http.client,"
    " lzma, multiprocessing, sqlite3, ssl, statistics, tomllib, unittest, uuid, xml.etree.ElementTree, zipfile, zlib"
)

DANUBEFILE = f"""
import {MODULES}
from danube import artifacts, pipeline, step

@pipeline(name="alone")
def build():
    pool = multiprocessing.get_context("spawn").Pool(2)
    step.run(f"echo sum {{sum(pool.map(abs, [-1, -2]))}} from {{sqlite3.sqlite_version}} > greeting.txt", name="Greet")
    pool.terminate()
    step.run("python3 -c 'import json, ssl; print(json.dumps(42))' && export -p", name="Python of a step")
    artifacts.upload("greeting.txt", name="greeting")
"""


@pytest.fixture(scope="module")
def programs() -> ReleasedPrograms:
    return released_programs()


@pytest.fixture(scope="module")
def binary(programs: ReleasedPrograms) -> Path:
    return programs.present


@pytest.fixture(scope="module")
def root(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A root file system with nothing else."""
    made = tmp_path_factory.mktemp("bare")
    made.chmod(0o755)  # the users of pods are others
    for name in ("usr/bin", "usr/lib", "usr/lib64", "proc", "dev", "tmp", "mnt", "etc", "root", "opt/app"):
        (made / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        (made / name).symlink_to(f"usr/{name}")
    printed = subprocess.run(["/sbin/ldconfig", "-p"], check=True, capture_output=True, text=True).stdout
    known = dict(reversed([(one.split()[0], one.split()[-1]) for one in printed.splitlines()[1:]]))
    wanted = {name for name in GLIBC.split() if name in known}
    for program in PROGRAMS:
        shutil.copy(f"/bin/{program}", made / "usr/bin" / program)
        needed = subprocess.run(["ldd", f"/bin/{program}"], check=True, capture_output=True, text=True).stdout
        wanted |= {line.split()[0] for line in needed.splitlines() if "=>" in line}
    for name in wanted:
        shutil.copy(known[name], made / "usr/lib" / name)
    loader = next(Path("/lib64").glob("ld-linux-*.so.*"))
    shutil.copy(loader, made / "usr/lib64" / loader.name)
    (made / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (made / "etc/group").write_text("root:x:0:\n")
    shutil.copy(binary, made / "opt/danube")
    (made / "opt/app/danubefile.py").write_text(DANUBEFILE)
    yield made
    shutil.rmtree(made)


def inside(root: Path, script: str, *, seconds: float = 240) -> subprocess.CompletedProcess[str]:
    words = command_in(root, "/usr/bin/sh", "-c", script)
    return subprocess.run(words, capture_output=True, text=True, timeout=seconds, check=False)


def unpack(archive: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    subprocess.run(["tar", "-C", str(target), "-xf", str(archive)], check=True)


def test_nothing_else_can_run_python_there(root: Path) -> None:
    done = inside(root, "python3; env; ls")
    assert done.stderr.count("not found") == 3


def test_version_and_doctor(root: Path) -> None:
    done = inside(root, "/opt/danube --version && /opt/danube doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("danube ")
    assert "ok   pod: a pod was created" in done.stdout


def test_run_with_standard_modules_processes_and_an_artifact(root: Path) -> None:
    """The Git and image workers, the egress proxy and the coordinator are processes of the same Python."""
    done = inside(root, "cd /opt/app && /opt/danube run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "app success" in done.stdout + done.stderr
    assert "LD_LIBRARY_PATH" not in done.stdout
    assert "_PYI" not in done.stdout
    assert "\n42\n" in done.stdout


def test_every_module_of_the_standard_library_can_be_imported(root: Path) -> None:
    names = sorted(one for one in sys.stdlib_module_names if one not in LEFT_OUT and one not in ("this", "antigravity"))
    elsewhere = ("msilib", "msvcrt", "winreg", "winsound", "nt", "_winapi", "_msi", "_overlapped", "_scproxy", "ntpath")
    wanted = [one for one in names if one not in elsewhere]
    (root / "opt/imports.py").write_text(
        "import importlib, json\nfailed = {}\n"
        f"for name in {wanted!r}:\n"
        "    try:\n        importlib.import_module(name)\n"
        "    except Exception as error:\n        failed[name] = str(error)\n"
        "print(json.dumps(failed))\n"
    )
    done = inside(root, "/root/.cache/danube/????????????????????????????????/python/bin/python3 /opt/imports.py")
    failed = json.loads(done.stdout.splitlines()[-1])
    here = {
        name
        for name in failed
        if subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True).returncode
    }
    assert failed.keys() - here == set(), failed


SERVE = """
danube() { /opt/danube "$@"; }
/opt/danube serve --config /opt/danube.toml --data /root/data > /root/serve.log 2>&1 &
server=$!
until danube health --data /root/data > /root/health.log 2>&1; do kill -0 $server || exit 9; done
danube trigger alone --data /root/data --wait || exit 8
danube jobs --data /root/data --json > /root/jobs.json
job=$(/root/.cache/danube/*/python/bin/python3 -c 'import json; print(json.load(open("/root/jobs.json"))[0]["id"])')
danube artifacts download $job greeting --data /root/data --output /root/greeting.txt || exit 7
danube artifacts provenance $job --data /root/data --output /root/greeting.intoto.jsonl || exit 6
danube keys export --data /root/data --output /root/keys.json || exit 5
kill $server; wait $server
danube verify /root/greeting.txt --provenance /root/greeting.intoto.jsonl --key /root/keys.json || exit 4
echo changed >> /root/greeting.txt
danube verify /root/greeting.txt --provenance /root/greeting.intoto.jsonl --key /root/keys.json && exit 3
exit 0
"""

PIPELINE = """apiVersion: danube.dev/v1
kind: Pipeline
metadata: {name: alone, team: engineering}
spec:
  repository: /opt/app
  triggers: [{on: manual}]
"""


def test_serve_a_job_its_artifact_and_verify(root: Path) -> None:
    """A server with its workers, the provenance of what a job made, and a changed file that is refused."""
    shutil.copytree(ROOT / "examples" / "config", root / "opt/config", ignore=shutil.ignore_patterns("pipelines"))
    (root / "opt/config/pipelines").mkdir()
    (root / "opt/config/pipelines/alone.yaml").write_text(PIPELINE)
    (root / "opt/danube.toml").write_text('[config_repo]\nurl = "/opt/config"\n')
    done = inside(root, SERVE)
    log = root / "root/serve.log"
    assert done.returncode == 0, f"{done.stdout}{done.stderr}{log.read_text()[-3000:]}"
    assert "verified /root/greeting.txt" in done.stdout
    assert "refused /root/greeting.txt" in done.stdout


def test_the_coordinators_image_is_made_and_runs_its_coordinator(root: Path, tmp_path: Path) -> None:
    """From the program's own Python; the image is unpacked here, and is the root of what runs in it."""
    done = inside(root, "/opt/danube image coordinator --output /root/coordinator.tar")
    assert done.returncode == 0, done.stdout + done.stderr
    image = tmp_path / "image"
    unpack(root / "root/coordinator.tar", tmp_path / "layout")
    blobs = tmp_path / "layout" / "blobs" / "sha256"

    def document(descriptor: dict[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((blobs / descriptor["digest"].removeprefix("sha256:")).read_text())
        return found

    index = json.loads((tmp_path / "layout" / "index.json").read_text())
    manifest = document(index["manifests"][0])
    for layer in manifest["layers"]:
        unpack(blobs / layer["digest"].removeprefix("sha256:"), image)
    for name in ("proc", "dev"):
        (image / name).mkdir(exist_ok=True)
    script = (
        f"import sys; sys.path.insert(0, {CODE_PATH!r}); import danube, grpc, danube_pkg.pod.coordinator; print('runs')"
    )
    words = command_in(image, "/usr/bin/python3", "-S", "-c", script, user=1000)
    ran = subprocess.run(words, capture_output=True, text=True, timeout=240, check=False)
    assert ran.stdout == "runs\n", ran.stderr


def test_the_first_lines_of_the_readme_end_with_a_green_pipeline(binary: Path, tmp_path: Path) -> None:
    section = (ROOT / "README.md").read_text().partition("## The first green pipeline\n")[2].partition("\n## ")[0]
    application, server, job = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "danube").symlink_to(binary)
    prepared, served, _ = server.partition("danube serve\n")
    assert served
    script = (
        f"set -e\n{application}{prepared}"
        f'danube serve --listen 127.0.0.1:{free_port()} --data "$DANUBE_DATA" > server.log 2>&1 & server=$!\n'
        f"until danube health > health.log 2>&1; do kill -0 $server; done\n{job}kill $server\nwait $server\n"
    )
    environment = {
        "PATH": f"{tmp_path}/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "DANUBE_DATA": str(tmp_path / "data"),
    }
    words = ["/bin/sh", "-c", script]
    done = subprocess.run(
        words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "first success" in done.stderr


def test_its_files_need_no_newer_glibc_than_the_documents_say(programs: ReleasedPrograms) -> None:
    """README and docs/install.md name the version; which file needs it is in the failure."""
    found, file = newest_glibc(programs.tree)
    assert found <= (2, 36), f"{file} needs glibc {found[0]}.{found[1]}"
