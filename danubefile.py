"""Danube builds Danube: the checks, then every file of a release. `examples/self-host` has its pipeline.

A tag `v1.2.0` also publishes the release on the forge, as the pipeline's parameters `forge` and `api` say. Each
artifact gets the signed provenance of the server that ran this; the key of the releases is not in any job.
"""

from pathlib import Path

from danube import artifacts, ctx, pipeline, secrets, step

PYTHON = "build/venv/bin/python"
PIP = f"{PYTHON} -m pip --quiet --disable-pip-version-check install --require-hashes -r"

ENVIRONMENT = {"PYTHONPATH": "sdk:.", "PYTHONDONTWRITEBYTECODE": "1"}


@pipeline(name="Danube", env=ENVIRONMENT)
def build() -> None:
    step.run(f"python3 -m venv build/venv && {PIP} requirements-dev.lock", name="Tools", timeout_seconds=1800)
    step.run(f"{PIP} requirements-release.lock", name="Compiler", timeout_seconds=1800)

    # Where a job has no network, the pipeline's variable names the packages of the page, which npm installs otherwise.
    step.run('test -z "${NODE_MODULES-}" || cp -r "$NODE_MODULES" web/node_modules', name="Packages of the page")

    with step.parallel():
        step.start(f"{PYTHON} -m ruff check .", name="Linter")
        step.start(f"{PYTHON} -m ruff format --check .", name="Format")
        step.start(f"{PYTHON} -m pytest -q tests/core", name="Tests", timeout_seconds=1800)

    wanted = ctx.params.get("artifacts", "")
    step.run(f"{PYTHON} build.py {wanted}", name="Files", timeout_seconds=3600)
    files = sorted(path for path in Path("dist").iterdir() if path.is_file())
    for path in files:
        artifacts.upload(str(path), name=path.name)

    if ctx.tag and ctx.params.get("api"):
        names = " ".join(f"dist/{path.name}" for path in files)
        command = f"{PYTHON} -m build_steps.publish --forge {ctx.params['forge']} --api {ctx.params['api']}"
        step.run(
            f'{command} --tag "$DANUBE_TAG" {names}', name="Publish", env={"FORGE_TOKEN": secrets.get("FORGE_TOKEN")}
        )
