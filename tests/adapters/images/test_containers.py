"""Containers of images, as Kubernetes runs them with a command: environment, user, directory, isolation."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from danube_pkg.adapters.runtimes.sandbox.runtime import SandboxRuntime
from danube_pkg.core.errors import Permanent
from danube_pkg.core.images.ports import ImageRequester
from danube_pkg.core.images.reference import Image, ImageUnavailable
from danube_pkg.core.images.registries import RegistrySpec
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import (
    HOST_IMAGE,
    ContainerEnded,
    Limits,
    Network,
    PodNotice,
)
from tests.adapters.images.containers import BUSYBOX, ImagePods, busybox
from tests.adapters.runtimes.sandbox.pods import (
    new_pod_id,
    next_event,
    spec_of,
)
from tests.fakes.egress import NoProxies
from tests.support.image_layouts import (
    Layout,
    directory,
    file,
    link,
    listing,
    push,
)
from tests.support.registry import Registry

HAS_IDS = os.geteuid() == 0


async def test_the_images_environment_and_directory(image_pods: ImagePods) -> None:
    image = await image_pods.load(
        "env", [busybox()], Env=["PATH=/bin:/opt/bin", "GREETING=a b=c", "CI=no"], WorkingDir="/srv/app", Cmd=["false"]
    )
    container = await image_pods.container(image)
    assert await image_pods.sh(container, 'pwd; echo "$PATH|$GREETING|$HOME|$CI|$DANUBE"') == (
        "/srv/app\n/bin:/opt/bin|a b=c|/root|true|true\n"
    )


async def test_what_every_container_has(image_pods: ImagePods) -> None:
    container = await image_pods.container(await image_pods.load("plain", [busybox()]))
    assert await image_pods.sh(container, "pwd; hostname; cat /etc/hosts; echo $PATH") == (
        "/\ndanube\n127.0.0.1 localhost danube\n::1 localhost\n"
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
    )
    await image_pods.sh(container, "test -w /tmp && test -w /workspace && test -c /dev/null && test -d /proc/1")
    assert await image_pods.sh(container, "ls -A /") == (
        ".danube\nbin\ndev\netc\nhome\nproc\nroot\nsys\ntmp\nworkspace\n"
    )


async def test_an_image_without_a_shell_and_without_directories(image_pods: ImagePods) -> None:
    image = await image_pods.load("no-shell", [[file("busybox", BUSYBOX.read_bytes(), mode=0o755)]])
    container = await image_pods.container(image)
    assert await image_pods.pods.run(container, "/busybox", "echo", "a", "b") == (0, b"a b\n")
    code, printed = await image_pods.pods.run(container, "/busybox", "stat", "-c", "%a", "/tmp")
    assert (code, printed) == (0, b"1777\n")


async def test_the_layer_over_the_image_is_the_containers_own(image_pods: ImagePods) -> None:
    image = await image_pods.load("shared", [busybox()])
    one = await image_pods.container(image)
    root = image_pods.setup.root(await image_pods.setup.pull("shared"))
    before = listing(root)
    await image_pods.sh(
        one, "echo x > /etc/new; rm -r /home/node; mv /etc/passwd /etc/moved; chmod 700 /bin; rm /bin/ls"
    )
    await image_pods.sh(one, "mkdir /home/node && touch /home/node/fresh")
    other = await image_pods.container(image)
    assert await image_pods.sh(other, "ls /etc; ls /home/node") == "group\nhostname\nhosts\npasswd\n"
    assert listing(root) == before
    changes = image_pods.pods.data / "pods" / one.pod_id
    assert any(path.name == "new" for path in changes.rglob("new"))


async def test_two_images_in_one_pod_share_workspace_and_loopback(image_pods: ImagePods) -> None:
    pod_id = new_pod_id()
    await image_pods.pods.runtime.create_pod(spec_of(pod_id))
    names = [await image_pods.load(name, [busybox(), [file("which", name)]]) for name in ("one", "two")]
    one, two = [await image_pods.pods.runtime.ensure_container(pod_id, name) for name in names]
    host = await image_pods.pods.runtime.ensure_container(pod_id, HOST_IMAGE)
    assert len({one.number, two.number, host.number}) == 3
    assert await image_pods.pods.runtime.ensure_container(pod_id, names[0]) == one
    assert await image_pods.sh(one, "cat /which") == "one"
    assert await image_pods.sh(two, "cat /which") == "two"
    await image_pods.sh(
        one, "echo from one > /workspace/note; cd /tmp; echo served > page; httpd -p 127.0.0.1:8080 -h /tmp"
    )
    fetch = "until wget -q -O - http://127.0.0.1:8080/page; do :; done"
    assert await image_pods.sh(two, f"cat /workspace/note; {fetch}") == "from one\nserved\n"
    assert await image_pods.sh(host, "cat /workspace/note") == "from one\n"


async def test_a_user_that_is_missing_in_the_image_is_refused(image_pods: ImagePods) -> None:
    image = await image_pods.load("no-user", [busybox()], User="postgres")
    with pytest.raises(ImageUnavailable, match="its /etc/passwd has no such user"):
        await image_pods.container(image)


async def test_links_at_mount_points_do_not_leave_the_image(image_pods: ImagePods, tmp_path: Path) -> None:
    """A hostile image could redirect the container's mounts by links; they are resolved in the container's root."""
    outside = tmp_path / "outside"
    outside.mkdir()
    outside.chmod(0o777)
    places = ("workspace", ".danube", "proc", "dev", "tmp", "srv")
    layer = [entry for entry in busybox() if not entry.name.startswith(("tmp", "etc"))]
    hostile = [link(place, f"/oldroot{outside}") for place in places]
    hostile += [directory("etc"), link("etc/hosts", f"/oldroot{outside}/hosts"), link("etc/hostname", "/proc/1/x")]
    hostile += [link("etc/passwd", f"/oldroot{outside}/passwd"), link("etc/group", "loop"), link("etc/loop", "group")]
    image = await image_pods.load("hostile", [layer, hostile], WorkingDir="/srv/deep/er", User="0")
    with pytest.raises(ImageUnavailable, match="starts in /srv/deep/er"):
        await image_pods.container(image)
    assert list(outside.iterdir()) == []
    image = await image_pods.load("hostile2", [layer, hostile])
    container = await image_pods.container(image)
    assert await image_pods.sh(
        container, "test -d /workspace && test -d /proc/1 && test -c /dev/null; cat /etc/hostname"
    ) == ("danube\n")
    assert list(outside.iterdir()) == []


async def test_a_directory_behind_the_images_own_links(image_pods: ImagePods) -> None:
    layer = [directory("opt/app/deep"), link("app", "/opt/app"), link("opt/app/up", "../../app/deep")]
    container = await image_pods.container(await image_pods.load("linked", [busybox(), layer], WorkingDir="/app/up"))
    assert await image_pods.sh(container, "pwd -P") == "/opt/app/deep\n"


async def test_rights_are_few(image_pods: ImagePods) -> None:
    container = await image_pods.container(await image_pods.load("rights", [busybox()]))
    status = await image_pods.sh(container, "cat /proc/self/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")
    assert int(fields["CapEff"], 16) & ~0x800400FB == 0
    for refused in (
        "mknod /tmp/disk b 8 0",
        "mount -t tmpfs none /tmp",
        "cat /proc/1/environ",
        "echo x > /proc/sys/kernel/hostname",
    ):
        assert (await image_pods.pods.shell(container, refused))[0] != 0, refused


async def test_the_servers_files_are_not_visible(image_pods: ImagePods) -> None:
    container = await image_pods.container(await image_pods.load("inspect", [busybox()]))
    data = image_pods.pods.data
    found = await image_pods.sh(
        container, f"ls {data} {data.parent} 2>/dev/null; find / -xdev -type s; cat /proc/mounts; true"
    )
    assert str(data) not in found.replace(f"{data}/pods/{container.pod_id}/workspace", "")
    assert "exec.sock" not in found


async def test_the_hosts_network_brings_its_names(image_pods: ImagePods) -> None:
    container = await image_pods.container(await image_pods.load("net", [busybox()]), network=Network.HOST)
    assert await image_pods.sh(container, "cat /etc/hosts") == Path("/etc/hosts").read_text()


async def test_files_that_a_container_writes_count_as_workspace(image_pods: ImagePods) -> None:
    """The container's layer is on the disk; the image itself does not count."""
    image = await image_pods.load("large", [busybox(), [file("large", os.urandom(8 << 20))]])
    pod_id = new_pod_id()
    runtime = image_pods.pods.runtime
    async with runtime.watch() as events:
        await runtime.create_pod(spec_of(pod_id, limits=Limits(workspace_bytes=4 << 20)))
        container = await runtime.ensure_container(pod_id, image)
        await image_pods.sh(container, "ls /large")
        stream = await runtime.exec(container, ("/bin/sh", "-c", "head -c 6000000 /large > /root/copy; sleep 1000"))
        event = await next_event(events, ContainerEnded)
        await stream.close()
    assert isinstance(event, ContainerEnded)
    assert event.reason is Reason.WORKSPACE_FULL


async def test_a_restarted_server_continues_with_containers_of_images(image_pods: ImagePods) -> None:
    container = await image_pods.container(await image_pods.load("stay", [busybox()]))
    await image_pods.pods.runtime.close()
    restarted = SandboxRuntime(image_pods.pods.runtime.settings, image_pods.setup.images, NoProxies())
    assert await restarted.ensure_container(container.pod_id, "stay") == container
    assert await image_pods.sh(container, "echo still") == "still\n"
    image_pods.setup.store.remove("registry.invalid/stay:latest")
    assert await image_pods.sh(container, "ls /bin/busybox") == "/bin/busybox\n"
    await restarted.close()


async def test_a_pull_is_reported_in_the_jobs_log(image_pods: ImagePods, registry: Registry) -> None:
    layout = Layout(image_pods.scratch / "reported").image("1", [busybox()])
    name = f"{registry.host}/containers/reported:1"
    push(layout, "1", name)
    image_pods.setup.rules.append(RegistrySpec(registry.host, insecure=True))
    async with image_pods.pods.runtime.watch() as events:
        container = await image_pods.container(name)
        lines: list[str] = []
        while not any("is ready after" in line for line in lines):
            event = await next_event(events, PodNotice)
            assert isinstance(event, PodNotice)
            lines.append(event.message)
            assert event.pod_id == container.pod_id
    assert any(line.startswith(f"pulling image {name}: 1 layers") for line in lines)


async def test_a_pod_can_be_deleted_while_its_image_is_pulled(image_pods: ImagePods) -> None:
    """Deleting a pod does not wait for a registry."""
    pod_id = new_pod_id()
    runtime = image_pods.pods.runtime
    await runtime.create_pod(spec_of(pod_id))
    coming, came = asyncio.Event(), asyncio.Event()
    image = await image_pods.load("slow", [busybox()])
    at_once = image_pods.setup.images.ensure

    async def slowly(name: str, report: Callable[[str], None], requester: ImageRequester) -> Image:
        coming.set()
        await came.wait()
        return await at_once(name, report, requester)

    image_pods.setup.images.ensure = slowly  # type: ignore[method-assign]
    wanted = asyncio.create_task(runtime.ensure_container(pod_id, image), name="wanted")
    await coming.wait()
    await asyncio.wait_for(runtime.delete_pod(pod_id), 20)
    came.set()
    with pytest.raises(Permanent) as refusal:
        await wanted
    assert refusal.value.reference == Reason.POD_LOST
    assert [stored.pods for stored in image_pods.setup.store.list()] == [0]


async def test_without_overlays_each_container_gets_a_copy(image_pods: ImagePods) -> None:
    """As on a machine whose kernel or file system has no overlays."""
    entries = [file("fixed", "x", mode=0o444), directory("closed", mode=0o500), file("closed/in", "y")]
    image = await image_pods.load("copied", [busybox(), entries, [link("l", "fixed")]], WorkingDir="/srv/app")
    root = image_pods.setup.root(await image_pods.setup.pull(image))
    before = listing(root)
    image_pods.pods.runtime.roots.known_overlay_problem = "overlays are switched off in this test"
    pod_id = new_pod_id()
    runtime = image_pods.pods.runtime
    async with runtime.watch() as events:
        await runtime.create_pod(spec_of(pod_id, limits=Limits(workspace_bytes=1 << 20)))
        container = await runtime.ensure_container(pod_id, image)
        while True:
            event = await next_event(events, PodNotice)
            assert isinstance(event, PodNotice)
            if "overlays are switched off in this test" in event.message:
                break
    assert await image_pods.sh(container, "pwd; cat /l; stat -c %a /closed /fixed /tmp; echo more > /etc/passwd") == (
        "/srv/app\nx500\n444\n1777\n"
    )
    assert listing(root) == before
    await asyncio.gather(*(image_pods.sh(container, "ls /") for _ in range(3)))
    await runtime.delete_pod(pod_id)


async def test_this_machine_has_overlays(image_pods: ImagePods) -> None:
    """Without overlays, the tests above would only test copies."""
    container = await image_pods.container(await image_pods.load("over", [busybox()]))
    assert (await image_pods.sh(container, "cat /proc/mounts")).startswith("overlay / overlay ")


async def test_the_container_record_has_the_image_name_as_requested(image_pods: ImagePods) -> None:
    container = await image_pods.container(await image_pods.load("named", [busybox()]))
    file_ = image_pods.pods.data / "pods" / container.pod_id / "c" / "1" / "container.json"
    assert json.loads(file_.read_text())["image"] == "named"
