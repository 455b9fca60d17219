"""Containers from images, as Kubernetes would run them with a command given: environment, user, directory, isolation."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from danube_pkg.adapters.runtimes.sandbox import SandboxRuntime
from danube_pkg.core.errors import Permanent
from danube_pkg.core.images.reference import ImageUnavailable
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
    Pods,
    new_job_id,
    new_runtime,
    next_event,
    spec_of,
)
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
    assert await image_pods.sh(container, "ls -A /") == (".danube\nbin\ndev\netc\nhome\nproc\nroot\ntmp\nworkspace\n")


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
    changes = image_pods.pods.data / "pods" / one.job_id
    assert any(path.name == "new" for path in changes.rglob("new"))


async def test_two_images_in_one_pod_share_workspace_and_loopback(image_pods: ImagePods) -> None:
    job_id = new_job_id()
    await image_pods.pods.runtime.create_pod(spec_of(job_id))
    names = [await image_pods.load(name, [busybox(), [file("which", name)]]) for name in ("one", "two")]
    one, two = [await image_pods.pods.runtime.ensure_container(job_id, name) for name in names]
    host = await image_pods.pods.runtime.ensure_container(job_id, HOST_IMAGE)
    assert len({one.number, two.number, host.number}) == 3
    assert await image_pods.pods.runtime.ensure_container(job_id, names[0]) == one
    assert await image_pods.sh(one, "cat /which") == "one"
    assert await image_pods.sh(two, "cat /which") == "two"
    await image_pods.sh(
        one, "echo from one > /workspace/note; cd /tmp; echo served > page; httpd -p 127.0.0.1:8080 -h /tmp"
    )
    fetch = "until wget -q -O - http://127.0.0.1:8080/page; do :; done"
    assert await image_pods.sh(two, f"cat /workspace/note; {fetch}") == "from one\nserved\n"
    assert await image_pods.sh(host, "cat /workspace/note") == "from one\n"


async def test_a_user_that_the_image_has_not_is_refused(image_pods: ImagePods) -> None:
    image = await image_pods.load("nobody", [busybox()], User="postgres")
    with pytest.raises(ImageUnavailable, match="its /etc/passwd has no such user"):
        await image_pods.container(image)


async def test_links_where_mounts_go_lead_nowhere(image_pods: ImagePods, tmp_path: Path) -> None:
    """A hostile image would have its container's mounts made elsewhere; everything stays in the container's own root."""
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


async def test_the_servers_files_are_not_there(image_pods: ImagePods) -> None:
    container = await image_pods.container(await image_pods.load("look", [busybox()]))
    data = image_pods.pods.data
    found = await image_pods.sh(
        container, f"ls {data} {data.parent} 2>/dev/null; find / -xdev -type s; cat /proc/mounts; true"
    )
    assert str(data) not in found.replace(f"{data}/pods/{container.job_id}/workspace", "")
    assert "exec.sock" not in found


async def test_the_hosts_network_brings_its_names(image_pods: ImagePods) -> None:
    container = await image_pods.container(await image_pods.load("net", [busybox()]), network=Network.HOST)
    assert await image_pods.sh(container, "cat /etc/hosts") == Path("/etc/hosts").read_text()


async def test_what_a_container_writes_counts_against_the_workspace(image_pods: ImagePods) -> None:
    """Its layer is on the disk; the image is not the job's."""
    image = await image_pods.load("large", [busybox(), [file("large", os.urandom(8 << 20))]])
    job_id = new_job_id()
    runtime = image_pods.pods.runtime
    async with runtime.watch() as events:
        await runtime.create_pod(spec_of(job_id, limits=Limits(workspace_bytes=4 << 20)))
        container = await runtime.ensure_container(job_id, image)
        await image_pods.sh(container, "ls /large")
        stream = await runtime.exec(container, ("/bin/sh", "-c", "head -c 6000000 /large > /root/copy; sleep 1000"))
        event = await next_event(events, ContainerEnded)
        await stream.close()
    assert isinstance(event, ContainerEnded)
    assert event.reason is Reason.WORKSPACE_FULL


async def test_a_restarted_server_goes_on_with_containers_of_images(image_pods: ImagePods) -> None:
    container = await image_pods.container(await image_pods.load("stay", [busybox()]))
    await image_pods.pods.runtime.close()
    restarted = SandboxRuntime(image_pods.pods.runtime.settings, images=image_pods.setup.images)
    assert await restarted.ensure_container(container.job_id, "stay") == container
    assert await image_pods.sh(container, "echo still") == "still\n"
    image_pods.setup.store.remove("registry.invalid/stay:latest")
    assert await image_pods.sh(container, "ls /bin/busybox") == "/bin/busybox\n"
    await restarted.close()


async def test_an_image_that_is_pulled_is_told_on_the_jobs_page(image_pods: ImagePods, registry: Registry) -> None:
    layout = Layout(image_pods.scratch / "told").image("1", [busybox()])
    name = f"{registry.host}/containers/told:1"
    push(layout, "1", name)
    image_pods.setup.rules.append(RegistrySpec(registry.host, insecure=True))
    async with image_pods.pods.runtime.watch() as events:
        container = await image_pods.container(name)
        lines: list[str] = []
        while not any("is here after" in line for line in lines):
            event = await next_event(events, PodNotice)
            assert isinstance(event, PodNotice)
            lines.append(event.message)
            assert event.job_id == container.job_id
    assert any(line.startswith(f"pulling image {name}: 1 layers") for line in lines)


async def test_a_pod_can_be_deleted_while_its_image_is_pulled(image_pods: ImagePods) -> None:
    """Nobody waits for a registry to let go of a job."""
    job_id = new_job_id()
    runtime = image_pods.pods.runtime
    await runtime.create_pod(spec_of(job_id))
    coming, came = asyncio.Event(), asyncio.Event()
    image = await image_pods.load("slow", [busybox()])
    at_once = image_pods.setup.images.ensure

    async def slowly(name: str, tell):  # type: ignore[no-untyped-def]
        coming.set()
        await came.wait()
        return await at_once(name, tell)

    image_pods.setup.images.ensure = slowly  # type: ignore[method-assign]
    wanted = asyncio.create_task(runtime.ensure_container(job_id, image), name="wanted")
    await coming.wait()
    await asyncio.wait_for(runtime.delete_pod(job_id), 20)
    came.set()
    with pytest.raises(Permanent) as refusal:
        await wanted
    assert refusal.value.reference == Reason.POD_LOST
    assert [stored.pods for stored in image_pods.setup.store.list()] == [0]


async def test_without_overlays_each_container_gets_a_copy(image_pods: ImagePods) -> None:
    """As on a machine whose kernel or file system has none."""
    entries = [file("fixed", "x", mode=0o444), directory("closed", mode=0o500), file("closed/in", "y")]
    image = await image_pods.load("copied", [busybox(), entries, [link("l", "fixed")]], WorkingDir="/srv/app")
    root = image_pods.setup.root(await image_pods.setup.pull(image))
    before = listing(root)
    image_pods.pods.runtime.roots.complaint = "overlays are switched off in this test"
    job_id = new_job_id()
    runtime = image_pods.pods.runtime
    async with runtime.watch() as events:
        await runtime.create_pod(spec_of(job_id, limits=Limits(workspace_bytes=1 << 20)))
        container = await runtime.ensure_container(job_id, image)
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
    await runtime.delete_pod(job_id)


async def test_this_machine_has_overlays(image_pods: ImagePods) -> None:
    """The tests above would pass with copies alone."""
    container = await image_pods.container(await image_pods.load("over", [busybox()]))
    assert (await image_pods.sh(container, "cat /proc/mounts")).startswith("overlay / overlay ")


async def test_without_images_a_runtime_says_so(tmp_path: Path) -> None:
    data = tmp_path / "bare"
    data.mkdir()
    runtime = new_runtime(data)
    bare = Pods(data, runtime)
    try:
        coordinator, _ = await bare.pod()
        with pytest.raises(ImageUnavailable, match="only the machine's own programs"):
            await runtime.ensure_container(coordinator.job_id, "node:20")
    finally:
        for state in await runtime.list_pods():
            await runtime.delete_pod(state.job_id)
        await runtime.close()


async def test_records_name_the_image_as_it_was_asked_for(image_pods: ImagePods) -> None:
    container = await image_pods.container(await image_pods.load("named", [busybox()]))
    file_ = image_pods.pods.data / "pods" / container.job_id / "c" / "1" / "container.json"
    assert json.loads(file_.read_text())["image"] == "named"
