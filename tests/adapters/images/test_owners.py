"""Owners and users inside containers; only for pods with more than one id."""

import pytest

from tests.adapters.images.containers import (
    GROUP,
    PASSWD,
    ImagePods,
    busybox,
)
from tests.adapters.runtimes.sandbox.as_user import FIRST_SUBORDINATE_ID
from tests.adapters.runtimes.sandbox.pods import has_subordinate_ids
from tests.support.image_layouts import directory, file, link

OWNED = [
    file("owned", "x", user=1000, group=2000, mode=0o640),
    file("setuid", "x", mode=0o4755),
    directory("spool", user=8, group=12, mode=0o2775),
]


async def test_files_in_a_container_have_the_owners_of_the_image(image_pods: ImagePods) -> None:
    container = await image_pods.container(await image_pods.load("owned", [busybox(), OWNED]))
    assert await image_pods.sh(container, "stat -c '%n %u:%g %a' /owned /setuid /spool /root /home/node /") == (
        "/owned 1000:2000 640\n/setuid 0:0 4755\n/spool 8:12 2775\n/root 0:0 700\n/home/node 1000:1000 755\n/ 0:0 755\n"
    )


async def test_two_pods_share_an_image_but_not_their_ids(image_pods: ImagePods) -> None:
    image = await image_pods.load("ids", [busybox(), OWNED])
    one, other = await image_pods.container(image), await image_pods.container(image)
    for container in (one, other):
        await image_pods.sh(container, "chown 5:6 /owned && echo y > /workspace/mine && chown 7 /workspace/mine")
    owners = [
        (image_pods.pods.data / "pods" / container.pod_id / "workspace" / "mine").stat().st_uid
        for container in (one, other)
    ]
    assert (owners[0] == owners[1]) == has_subordinate_ids()
    root = image_pods.setup.root(await image_pods.setup.pull(image))
    assert (root / "owned").stat().st_uid == (FIRST_SUBORDINATE_ID + 999 if has_subordinate_ids() else 1000)


@pytest.mark.parametrize(
    ("user", "ids", "home"),
    [
        ("node", "uid=1000(node) gid=1000(node) groups=1000(node),2000(builders)", "/home/node"),
        ("1000:2000", "uid=1000(node) gid=2000(builders) groups=2000(builders)", "/home/node"),
        ("1234:5678", "uid=1234 gid=5678 groups=5678", "/"),
        ("nobody", "uid=65534(nobody) gid=65534 groups=65534", "/"),
    ],
)
async def test_programs_run_as_the_images_user(image_pods: ImagePods, user: str, ids: str, home: str) -> None:
    image = await image_pods.load("user", [busybox()], User=user)
    container = await image_pods.container(image)
    if has_subordinate_ids() and "groups=1000" not in ids:  # the workspace is shared by its owner's group
        ids = ids.replace("groups=", "groups=1000(node),")
    assert await image_pods.sh(container, "id; echo $HOME") == f"{ids}\n{home}\n"
    status = await image_pods.sh(container, "cat /proc/self/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert (int(fields["CapEff"], 16), int(fields["CapPrm"], 16), int(fields["CapAmb"], 16)) == (0, 0, 0)


async def test_the_images_user_has_few_rights(image_pods: ImagePods) -> None:
    container = await image_pods.container(await image_pods.load("worker", [busybox(), OWNED], User="node"))
    await image_pods.sh(container, "touch /workspace/x ~/x /tmp/x && cat /owned")
    for refused in (
        "touch /etc/x",
        "chown 0 /workspace/x",
        "cat /proc/1/environ",
        "ls /proc/1/fd",
        "kill -9 1 && false",
    ):
        assert (await image_pods.pods.shell(container, refused))[0] != 0, refused
    assert await image_pods.sh(container, "echo the supervisor lives") == "the supervisor lives\n"


async def test_root_in_a_container_may_change_owners(image_pods: ImagePods) -> None:
    container = await image_pods.container(await image_pods.load("root", [busybox(), OWNED]))
    await image_pods.sh(
        container,
        "set -e; chown 1234:4321 /owned; [ $(stat -c %u:%g /owned) = 1234:4321 ]; mkdir /t; cd /t; touch a; chown 33 a;"
        " tar cf a.tar a /spool; mkdir out; tar xf a.tar -C out; [ $(stat -c %u out/a) = 33 ]; [ $(stat -c %g out/spool) = 12 ]",
    )
    assert await image_pods.sh(container, "su node -c 'id -u; touch /home/node/x'; stat -c %u /home/node/x") == (
        "1000\n1000\n"
    )


@pytest.mark.parametrize("complaint", [None, "overlays are switched off in this test"])
async def test_a_working_directory_in_a_private_home(image_pods: ImagePods, complaint: str | None) -> None:
    image_pods.pods.runtime.roots.known_overlay_problem = complaint
    closed = [directory("home/node", user=1000, group=2000, mode=0o700)]
    image = await image_pods.load("closed", [busybox(), closed], User="node", WorkingDir="/home/node/app/new")
    container = await image_pods.container(image)
    assert await image_pods.sh(container, "stat -c '%n %u:%g %a' /home/node /home; pwd; touch ~/mine") == (
        "/home/node 1000:2000 700\n/home 0:0 755\n/home/node/app/new\n"
    )


async def test_a_copy_keeps_owners_too(image_pods: ImagePods) -> None:
    image_pods.pods.runtime.roots.known_overlay_problem = "overlays are switched off in this test"
    container = await image_pods.container(await image_pods.load("copy", [busybox(), OWNED], User="node"))
    assert await image_pods.sh(container, "stat -c '%n %u:%g %a' /owned /setuid /spool; id -un") == (
        "/owned 1000:2000 640\n/setuid 0:0 4755\n/spool 8:12 2775\nnode\n"
    )


async def test_account_files_behind_links(image_pods: ImagePods) -> None:
    layer = [entry for entry in busybox() if entry.name not in ("etc/passwd", "etc/group")]
    moved = [
        file("store/accounts/passwd", PASSWD),
        file("store/accounts/group", GROUP),
        link("etc/passwd", "/store/accounts/passwd"),
        link("etc/group", "../../../store/accounts/group"),
    ]
    container = await image_pods.container(await image_pods.load("linked", [layer, moved], User="node"))
    assert (await image_pods.sh(container, "id -u")) == "1000\n"
