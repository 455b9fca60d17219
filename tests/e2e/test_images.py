"""Images by the command line and in danubefiles: load, pull, list, remove, use."""

import contextlib
import json
import os
import sqlite3
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.images.containers import busybox
from tests.adapters.runtimes.sandbox.pods import has_subordinate_ids
from tests.e2e.runs import danube_run
from tests.support.image_layouts import (
    Layout,
    directory,
    file,
    push,
    push_by_skopeo,
)
from tests.support.registry import (
    PASSWORD,
    USER,
    Registry,
    serving,
)
from tests.support.server import Installation
from tests.support.waiting import wait_until

DANUBEFILE = """
    from danube import artifacts, ctx, pipeline, step

    @pipeline(name="images")
    def build():
        step.run("cat input; echo of-the-shell > made; id -u", name="Shell", image="local/shell:1")
        step.run("cat made; echo of-the-user >> input; id -u; pwd", name="User", image="local/user:1")
        assert step.run("tail -1 input", name="Host").output == "of-the-user\\n"
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with serving(tmp_path_factory.mktemp("e2e") / "registry") as running:
        yield running


@pytest.fixture
def archives(tmp_path: Path) -> tuple[Path, Path]:
    """Two image archives: one image runs as root, the other as another user."""
    shell = Layout(tmp_path / "shell").image("local/shell:1", [busybox()])
    user = Layout(tmp_path / "user").image("local/user:1", [busybox()], config={"User": "node"})
    return shell.file(tmp_path / "shell.tar"), user.file(tmp_path / "user.tar")


def one_step(command: str, image: str) -> str:
    return f"""
        from danube import pipeline, step

        @pipeline(name="one step")
        def build():
            step.run({command!r}, image={image!r})
        """


def load(danube: Installation, archives: tuple[Path, Path]) -> None:
    for path in archives:
        danube.command("image", "load", str(path))


def test_steps_in_loaded_images_share_the_workspace(shared: Installation, archives: tuple[Path, Path]) -> None:
    load(shared, archives)
    shared.pipeline("images", DANUBEFILE, {"input": "from the repository\n"})
    shared.sync()
    job = shared.trigger("images")
    assert shared.end_of(job)["status"] == "success", shared.log(job)
    printed = shared.printed(job)
    root = "0" if os.geteuid() == 0 or has_subordinate_ids() else "1000"
    assert f"from the repository\n{root}\nof-the-shell\n1000\n/workspace\n" in printed


def test_steps_use_the_image_of_their_pipeline_by_default(shared: Installation, archives: tuple[Path, Path]) -> None:
    load(shared, archives)
    shared.pipeline(
        "default", DANUBEFILE.replace(', image="local/shell:1"', ""), {"input": "x\n"}, image="local/shell:1"
    )
    shared.sync()
    job = shared.trigger("default")
    assert shared.end_of(job)["status"] == "success", shared.log(job)
    assert "(local/shell:1)" in shared.log(job)


def test_an_image_is_pulled_from_a_registry_and_the_log_reports_it(danube: Installation, registry: Registry) -> None:
    push(Layout(danube.path / "l").image("1", [busybox()]), "1", f"{registry.host}/e2e/app:1")
    danube.add_settings(f'[registry]\nurl = "http://{registry.host}"\ndefault_host = "{registry.host}"\n')
    danube.pipeline(
        "pulled",
        one_step("echo in", "e2e/app:1"),
    )
    danube.serve()
    job = danube.trigger("pulled")
    assert danube.end_of(job)["status"] == "success", danube.log(job)
    assert f"--- pulling image {registry.host}/e2e/app:1: 1 layers, " in danube.log(job)
    assert f"--- image {registry.host}/e2e/app:1 is ready after " in danube.log(job)

    def listed() -> list[tuple[str, bool, int]]:
        found = json.loads(danube.command("image", "list", "--json").stdout)
        return [(one["name"], one["loaded"], one["pods"]) for one in found]

    wait_until(lambda: listed() == [(f"{registry.host}/e2e/app:1", False, 0)], 30, "the pod to be removed")


@pytest.mark.long
def test_image_pull_uses_the_registries_and_credentials_of_the_server(
    danube: Installation, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """While the server runs, after it was stopped, and in `danube run`; but not with another data directory."""
    with serving(tmp_path_factory.mktemp("closed") / "registry", account=True) as closed:
        image, other = f"{closed.host}/e2e/private:1", f"{closed.host}/e2e/private:2"
        for name in (image, other):
            push_by_skopeo(
                Layout(danube.path / name[-1]).image("1", [busybox()]), "1", name, "--dest-creds", f"{USER}:{PASSWORD}"
            )
        spec = {"host": closed.host, "username": USER, "password_secret": "REGISTRY", "insecure": True}
        document = {"apiVersion": "danube.dev/v1", "kind": "Config", "metadata": {"name": "global"}}
        (danube.config / "config.yaml").write_text(json.dumps({**document, "spec": {"registries": [spec]}}))
        danube.serve()
        danube.command("secrets", "set", "REGISTRY", stdin=PASSWORD)
        assert "ready: " in danube.command("image", "pull", image).stdout
        danube.stop()
        tree = danube.repository("tree", {"danubefile.py": one_step("echo in a private image", other)})
        assert "in a private image" in danube.command("run", str(tree)).stdout
        other_directory = danube.command("image", "pull", image, "--data", str(danube.path / "nowhere"), check=False)
        assert (other_directory.returncode, PASSWORD in other_directory.stderr) == (3, False)


@pytest.mark.long
def test_a_database_of_another_version_is_not_read(danube: Installation, registry: Registry) -> None:
    push(Layout(danube.path / "l").image("1", [busybox()]), "1", f"{registry.host}/e2e/other:1")
    danube.serve()
    danube.stop()
    with contextlib.closing(sqlite3.connect(danube.data / "danube.db")) as database:
        database.execute("INSERT INTO schema_version VALUES (9999, 0)")
        database.commit()
    pulled = danube.command("image", "pull", f"{registry.host}/e2e/other:1", "--http")
    assert "server-registries-unknown" in pulled.stderr
    with contextlib.closing(sqlite3.connect(danube.data / "danube.db")) as database:
        database.execute("DELETE FROM schema_version WHERE version = 9999")
        database.commit()


def test_an_image_that_cannot_be_pulled_fails_its_step(shared: Installation) -> None:
    shared.pipeline(
        "missing",
        one_step("true", "no.such.registry.invalid/x:1"),
    )
    shared.sync()
    end = shared.end_of(shared.trigger("missing"))
    assert (end["status"], end["reason"]) == ("failure", "image-pull-failed")
    assert "registry no.such.registry.invalid is not allowed for this job" in end["message"]


@pytest.mark.long
def test_a_job_pushes_an_image_and_runs_in_it(danube: Installation, registry: Registry) -> None:
    """Jobs reach a registry on this machine by its name, through the proxy; Danube pulls by the same name."""
    port = registry.host.rpartition(":")[2]
    danube.add_settings(f'[registry]\nurl = "http://registry.test:{port}"\n')
    danube.add_settings('[egress]\nhosts = {"registry.test" = "127.0.0.1"}\n')
    image = f"registry.test:{port}/e2e/pushed:1"
    push_it = f"skopeo --insecure-policy copy --dest-tls-verify=false oci:layout:1 docker://{image}"
    directory = danube.pipeline(
        "push",
        f"""
        from danube import pipeline, step

        @pipeline(name="push and run")
        def build():
            step.run({push_it!r}, name="Push")
            step.run("cat /which", name="Run", image={image!r})
        """,
        egress_allowlist=["registry.test"],
    )
    Layout(directory / "layout").image("1", [busybox(), [file("which", "pushed a moment ago\n")]])
    danube.serve()
    job = danube.trigger("push")
    assert danube.end_of(job)["status"] == "success", danube.log(job)
    assert "pushed a moment ago\n" in danube.printed(job)


@pytest.mark.long
def test_load_list_pull_and_remove(danube: Installation, archives: tuple[Path, Path], registry: Registry) -> None:
    load(danube, archives)
    push(Layout(danube.path / "l").image("1", [[file("x", "1")]]), "1", f"{registry.host}/e2e/small:1")
    ready = danube.command("image", "pull", f"{registry.host}/e2e/small:1", "--http")
    assert "pulling image" in ready.stderr
    assert ready.stdout.startswith(f"ready: {registry.host}/e2e/small:1 (")
    assert f"image store: {danube.data / 'images'}" in ready.stderr
    lines = danube.command("image", "list").stdout.splitlines()
    assert [line.split()[0].rpartition("/")[2] for line in lines] == ["small:1", "shell:1", "user:1"]
    danube.command("image", "remove", "local/shell:1")
    left = json.loads(danube.command("image", "list", "--json").stdout)
    assert [one["name"].rpartition("/")[2] for one in left] == ["small:1", "user:1"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("remove", "local/none"), 3, "there is no image"),
        (("load", "none.tar"), 2, "there is no file none.tar"),
        (("load", "danube.toml"), 3, "danube.toml is not an archive of images"),
        (("load", "nameless.tar"), 2, "has no name"),
        (("pull", "No:Name"), 3, "names are in lower case"),
        (("pull", "no.such.registry.invalid/x"), 3, "there is no host no.such.registry.invalid"),
    ],
)
def test_every_refusal_has_a_hint(danube: Installation, words: tuple[str, ...], code: int, said: str) -> None:
    Layout(danube.path / "nameless").image("latest", [[directory("d")]]).file(danube.path / "nameless.tar")
    done = danube.command("image", *words, check=False)
    assert (done.returncode, "hint: " in done.stderr) == (code, True)
    assert said in done.stderr


@pytest.mark.long
def test_an_image_that_a_job_uses_is_not_removed(shared: Installation, archives: tuple[Path, Path]) -> None:
    load(shared, archives)
    wait = one_step("echo begun; until [ -e /workspace/go ]; do :; done", "local/shell:1")
    shared.pipeline("busy", wait)
    shared.sync()
    job = shared.trigger("busy")
    shared.wait_for_log(job, "begun")
    refused = shared.command("image", "remove", "local/shell:1", check=False)
    assert (refused.returncode, "is used by a pod" in refused.stderr) == (3, True)
    next((shared.data / "pods").glob("*/workspace")).joinpath("go").touch()
    assert shared.end_of(job)["status"] == "success"

    def is_removed() -> bool:  # the job has its status before its pod is gone
        return shared.command("image", "remove", "local/shell:1", check=False).returncode == 0

    wait_until(is_removed, 30, "the pod to release the image")


@pytest.mark.long
def test_danube_run_uses_loaded_images(tmp_path: Path, archives: tuple[Path, Path]) -> None:
    tree, state = tmp_path / "tree", tmp_path / "state"
    tree.mkdir()
    state.mkdir()
    (tree / "danubefile.py").write_text(textwrap.dedent(DANUBEFILE))
    (tree / "input").write_text("x\n")
    danube = Installation(tmp_path / "danube")
    danube.environment |= {"XDG_CACHE_HOME": str(state / "cache")}
    del danube.environment["DANUBE_DATA"]
    load(danube, archives)
    run = danube_run(tree, state=state)
    assert run.code == 0, run.everything
