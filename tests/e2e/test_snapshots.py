"""Snapshots of steps in real containers of an image: restored where nothing differs, and named everywhere."""

import json
from typing import Any

import pytest

from tests.adapters.images.containers import busybox
from tests.support.image_layouts import Layout, file
from tests.support.server import Installation

DANUBEFILE = """
    from danube import hash_files, pipeline, step

    @pipeline(name="snapshots")
    def build():
        made = step.run(
            "b=/bin/busybox; echo installing; $b mkdir -p deps/sub; $b head -c 8 /dev/urandom | $b od > deps/sub/made;"
            " $b chmod 555 deps/sub; $b cp one.lock /of-the-image; $b rm /etc/motd; $b env > deps/env",
            name="Install", snapshot=hash_files("one.lock"),
        )
        print("result:", made.status, made.restored_from or "here", made.output.strip())
        step.run("b=/bin/busybox; $b cat deps/sub/made /of-the-image; $b ls -ld deps/sub; $b ls /etc; $b id -u", name="See")
        step.run("/bin/busybox grep -q yes other.txt", name="Test")
"""


def steps_of(danube: Installation, job: str) -> list[tuple[str, str, str, str]]:
    found: dict[str, Any] = danube.client.get(f"/api/v1/jobs/{job}")
    return [(one["name"], one["status"], one["restored_from"], one["before"]) for one in found["steps"]]


@pytest.mark.slow("three jobs in real containers of an image")
def test_a_failed_job_is_repeated_for_its_failed_steps(danube: Installation) -> None:
    image = Layout(danube.path / "image").image("local/shell:1", [[*busybox(), file("etc/motd", b"hello\n")]])
    danube.command("image", "load", str(image.file(danube.path / "shell.tar")))
    repository = danube.pipeline("app", DANUBEFILE, {"one.lock": "first\n", "other.txt": "no\n"}, image="local/shell:1")
    danube.serve()
    first = danube.trigger("app")
    assert danube.end_of(first)["status"] == "failure", danube.log(first)
    assert "--- snapshot of step 1: kept " in danube.log(first)
    assert "result: success here installing" in danube.log(first)
    # Another content of the workspace, of which the step reads nothing.
    (repository / "other.txt").write_text("yes\n")
    again = json.loads(danube.command("rerun", first, "--failed-steps", "--json").stdout)["id"]
    assert danube.end_of(again)["status"] == "success", danube.log(again)
    assert steps_of(danube, again) == [
        ("Install", "restored", first, "success"),
        ("See", "success", "", "success"),
        ("Test", "success", "", "failure"),
    ]
    log = danube.log(again)
    assert f"result: restored {first} installing" in log
    assert '--- step 2 "See" was green in job' in log
    assert seen(danube.printed(again)) == seen(danube.printed(first))
    explained = danube.command("explain", again).stdout
    assert f"Step 1 'Install' was restored from job {first}" in explained
    assert "Step 2 'See' was green before and ran again." in explained
    assert "Step 3 'Test' ran again: it was failure before." in explained
    assert "Install (snapshot of step 1)" in danube.command("caches", "list", "app").stdout
    refused = danube.command("rerun", again, "--failed-steps", check=False)
    assert refused.returncode != 0
    assert "has no failed step" in refused.stderr
    (repository / "one.lock").write_text("second\n")
    third = danube.trigger("app")
    assert danube.end_of(third)["status"] == "success", danube.log(third)
    assert [status for _, status, _, _ in steps_of(danube, third)] == ["success"] * 3
    log = danube.log(third)
    assert "--- snapshot of step 1: nothing is kept for key" in log


def seen(printed: str) -> list[str]:
    """What the second step saw of the first: the random value, files of the container, modes, owners."""
    lines = printed.splitlines()
    begin = next(at for at, line in enumerate(lines) if "result: " in line) + 1
    return lines[begin : begin + 6]
