"""One workspace for images of different users: each writes what the others have made; the modes are those of Git.

Where files can be shown with other owners each user sees the tree as its own. Elsewhere, as in half of these tests, and
for an ordinary user with subordinate ids, they share it by a group.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest

from danube_pkg.adapters.runtimes.sandbox import pods
from danube_pkg.adapters.runtimes.sandbox.id_ranges import has_ids_for_pods
from danube_pkg.core.runtimes.pods import HOST_IMAGE, Container
from danube_pkg.kit.records import replace
from tests.adapters.images.containers import ImagePods, busybox
from tests.adapters.runtimes.sandbox.pods import new_pod_id, spec_of

USERS = {"root": "", "own-group": "1234:5678"}

REPOSITORY = (
    "git init -q . && git config user.name a && git config user.email a@b && mkdir deep && echo x > deep/file"
    " && git add -A && git commit -qm first"
)


async def pod_with(
    image_pods: ImagePods, users: Mapping[str, str] = USERS, *, run_as_root: bool = False
) -> dict[str, Container]:
    """Containers of one pod by the name of their user; `host` is the image of that name."""
    runtime, pod_id = image_pods.pods.runtime, new_pod_id()
    found = {"coordinator": await runtime.create_pod(replace(spec_of(pod_id), run_as_root=run_as_root))}
    found["host"] = await runtime.ensure_container(pod_id, HOST_IMAGE)
    for name, user in users.items():
        image = await image_pods.load(name, [busybox()], WorkingDir="/workspace", User=user)
        found[name] = await runtime.ensure_container(pod_id, image)
    return found


@pytest.fixture(params=["by owner", "by group"])
def by_owner(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether files are shown with other owners. Where the machine cannot do it, both are the other way."""

    async def refused(program: Path, directory: Path, base: int) -> str:
        return f"refused by the test for {directory} of {base} by {program}"

    if request.param == "by group":
        monkeypatch.setattr(pods, "mount_problem", refused)
    return request.param == "by owner" and has_ids_for_pods()


async def test_users_of_all_images_change_what_the_others_have_made(image_pods: ImagePods, by_owner: bool) -> None:
    containers = await pod_with(image_pods)
    for name, container in containers.items():
        await image_pods.sh(container, f"mkdir -p of/{name} && echo {name} > of/{name}/file && echo {name} >> all")
    for name, container in containers.items():
        for other in containers:
            await image_pods.sh(container, f"echo {name} >> of/{other}/file && touch of/{other}/by-{name}")
        await image_pods.sh(container, f"rm of/{name}/by-{name} && mv of/{name} of/was && mv of/was of/{name}")
    assert await image_pods.sh(containers["host"], "cat all | tr '\\n' ' '") == " ".join(containers) + " "
    assert "777" not in await image_pods.sh(containers["host"], "find . -exec stat -c %a {} +")
    mode = "755 644" if by_owner else "2775 664"
    assert await image_pods.sh(containers["root"], "echo $(stat -c %a of/root of/root/file)") == f"{mode}\n"


async def test_git_and_its_modes_for_each_user(image_pods: ImagePods, by_owner: bool) -> None:
    """Git itself refuses trees of other owners."""
    containers = await pod_with(image_pods)
    await image_pods.sh(containers["coordinator"], REPOSITORY)
    assert await image_pods.sh(containers["host"], "git status --short && git log --format=%s") == "first\n"
    if not by_owner:
        return
    owners = {"host": "1000:1000", "root": "0:0", "own-group": "1234:5678"}
    for name, owner in owners.items():
        shown = await image_pods.sh(containers[name], "stat -c '%u:%g %a' /workspace deep deep/file .git/config")
        assert shown == f"{owner} 755\n{owner} 755\n{owner} 644\n{owner} 644\n"
        assert await image_pods.sh(containers[name], "echo ${GIT_CONFIG_COUNT-none}") == "none\n"


async def test_the_owner_that_root_gives_is_seen_by_others(image_pods: ImagePods) -> None:
    """Only the two users are exchanged; every other one keeps what belongs to it."""
    containers = await pod_with(image_pods)
    await image_pods.sh(
        containers["root"], "touch given closed && chown 77:78 given && chown 77 closed && chmod 600 closed"
    )
    for name in ("root", "host", "own-group"):
        assert await image_pods.sh(containers[name], "stat -c %u:%g given") == "77:78\n"
    assert (await image_pods.pods.shell(containers["host"], "cat closed"))[0] != 0


async def test_the_image_host_runs_as_an_ordinary_user(image_pods: ImagePods) -> None:
    """A-51: whose programs are refused what its files refuse, and who has a name, a home, and places to write to."""
    containers = await pod_with(image_pods, {})
    for name in ("coordinator", "host"):
        shell = containers[name]
        assert await image_pods.sh(shell, "id -un; id -gn; id -u; echo ~ $HOME") == (
            "danube\ndanube\n1000\n/home/danube /home/danube\n"
        )
        assert await image_pods.sh(shell, "stat -c %U:%a ~ /workspace | cut -d: -f1") == "danube\ndanube\n"
        await image_pods.sh(shell, "touch ~/x /tmp/x /dev/shm/x && echo x > only && chmod 400 only && rm -f /tmp/x")
        await image_pods.sh(shell, "python3 -c 'import socket; socket.create_server((\"127.0.0.1\", 80))'")
        for refused in (
            "echo y > only",
            "touch /x",
            "touch /etc/x",
            "chown 0 only",
            "mknod n c 1 3",
            "kill -9 1 && false",
        ):
            assert (await image_pods.pods.shell(shell, refused))[0] != 0, refused
        status = await image_pods.sh(shell, "rm -f only; grep -E '^Cap(Eff|Prm|Amb)' /proc/self/status | cut -f2")
        assert set(status.split()) == {"0000000000000000"}


async def test_a_pipeline_may_run_its_steps_in_host_as_root(image_pods: ImagePods) -> None:
    containers = await pod_with(image_pods, {}, run_as_root=True)
    assert await image_pods.sh(containers["coordinator"], "id -un; echo x > made") == "danube\n"
    await image_pods.sh(containers["host"], "test $(id -u) = 0 && echo y >> made && touch ~/x && chown 5 made")
    await image_pods.sh(containers["host"], "chown 0 made && echo z > new")
    assert await image_pods.sh(containers["coordinator"], "cat made new; echo more >> new") == "x\ny\nz\n"
