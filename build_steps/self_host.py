"""`make self-host`: Danube builds Danube on this machine, and the program that was built verifies everything.

A server with the configuration of `examples/self-host` runs the pipeline for the current commit, in the sandbox runtime
and without a network: the packages are fetched before, and pods read them. Everything lies in `build/self-host`.
"""

import argparse
import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from build_steps.binary import unproven
from build_steps.run_example import DANUBE, ROOT, Ended, Example
from build_steps.web import NODE_LOCK, NODE_PLACE, WEB, find_node, install_packages
from build_steps.zipapp import wheel_options

PLACE = ROOT / "build" / "self-host"
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-release.lock")

REPOSITORY = "https://git.example.org/danube/danube.git"
"""In the example's pipeline."""

SETTINGS = """[config_repo]
url = "config"

[server]
bind_address = "127.0.0.1:8080"

[runtime]
host_paths = [{paths}]
"""


def prepare() -> None:
    """Fetch the packages, clone the current commit and write the configuration."""
    wheels = PLACE / "wheels"
    node = [NODE_LOCK.name] if find_node().startswith(str(NODE_PLACE)) else []  # else the job has the machine's
    for lock in [*LOCKS, *node]:
        words = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", "--require-hashes"]
        subprocess.run([*words, "--dest", str(wheels), "-r", str(ROOT / lock)], check=True)
    released = ["--require-hashes", "--no-deps", *wheel_options(platform.machine())]
    words = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", *released]
    subprocess.run([*words, "--dest", str(wheels), "-r", str(ROOT / "requirements.lock")], check=True)
    install_packages()
    source = PLACE / "source"
    shutil.rmtree(source, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(source)], check=True)
    write_example(PLACE / "example", source, wheels)


def write_example(example: Path, source: Path, wheels: Path) -> None:
    """The settings and the configuration of `examples/self-host` for this machine: the repository is `source`, and
    packages come from files in place of a network."""
    shutil.rmtree(example, ignore_errors=True)
    shutil.copytree(ROOT / "examples" / "self-host" / "config", example / "config")
    settings = SETTINGS.format(paths=", ".join(json.dumps(str(path)) for path in (wheels, WEB / "node_modules")))
    (example / "danube.toml").write_text(settings)
    pipeline = example / "config" / "pipelines" / "danube.yaml"
    lines = [line for line in pipeline.read_text().splitlines() if not line.strip().startswith("egress_allowlist:")]
    text = "\n".join(lines).replace(REPOSITORY, str(source))
    environment = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "NODE_MODULES": str(WEB / "node_modules")}
    pipeline.write_text(f"{text}\n  env: {json.dumps(environment)}\n")


def build(example: Example, artifacts: str) -> Path:
    """Run the pipeline and download what it made; returns the directory. Raises Ended."""
    words = ["trigger", "danube", "--param", f"artifacts={artifacts}", "--json"]
    job = json.loads(example.danube(*words))["id"]
    data = str(PLACE / "data")
    if subprocess.run([DANUBE, "logs", "-f", job, "--data", data], check=False).returncode != 0:
        raise Ended(1, f"job {job} failed")
    dist = PLACE / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    dist.mkdir()
    for one in json.loads(example.danube("artifacts", "list", job, "--json")):
        example.danube("artifacts", "download", job, one["name"], "--output", str(dist / one["name"]))
    example.danube("artifacts", "provenance", job, "--output", str(PLACE / "danube.intoto.jsonl"))
    example.danube("keys", "export", "--output", str(PLACE / "keys.json"))
    return dist


def verify(dist: Path) -> Sequence[Path]:
    """Let the built program verify each file against its provenance; returns them. Raises Ended."""
    (program,) = [path for path in dist.glob("danube-linux-*") if "." not in path.name]
    program.chmod(0o755)
    proof, keys = PLACE / "danube.intoto.jsonl", PLACE / "keys.json"
    words = ["verify", str(dist), "--provenance", str(proof), "--key", str(keys)]
    if subprocess.run([program, *words, "--builder", "host-image"], check=False).returncode != 0:
        raise Ended(1, "a file is refused")
    return sorted(dist.iterdir())


def main() -> int:
    """0 when everything was built and verified."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artifacts", nargs="*", help="steps of build.py; all, if none is named")
    options = parser.parse_args()
    prepare()
    example = Example(PLACE / "data", PLACE / "example" / "danube.toml")
    try:
        example.start()
        files = verify(build(example, " ".join(options.artifacts)))
        example.wait_until_clean()
    except Ended as end:
        print(f"self-host: {end}", file=sys.stderr)
        return end.code or 1
    finally:
        example.stop()
    print(f"\nbuilt and verified, in {PLACE / 'dist'}: {', '.join(path.name for path in files)}")
    print("\n".join(unproven(platform.machine())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
