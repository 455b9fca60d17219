"""A whole Debian as an image, in a job: what people do in one, with the rights that root inside needs for it."""

import pytest

from build_steps.debian_root import TARGET
from tests.e2e.world import World
from tests.images.building import Layout, packed
from tests.images.containers import busybox

DANUBEFILE = '''
    from danube import pipeline, step

    @pipeline(name="debian")
    def build():
        step.run("""set -e
            id -u
            apt-get install -y --no-install-recommends ./hello.deb
            hello --greeting=installed
            dpkg --verify hello
            apt-get purge -y hello
            test ! -e /usr/bin/hello
            """, name="Packages")
        step.run("""set -e
            mkdir /tree && cd /tree
            touch a b && chown 33:33 a && chown daemon:mail b && chmod 4755 b
            tar cf /workspace/tree.tar . && mkdir out && tar xpf /workspace/tree.tar -C out
            stat -c '%n %u:%g %a' out/a out/b
            useradd -m -u 1500 somebody
            su somebody -c 'id -u; touch ~/mine; test ! -w /etc/passwd'
            stat -c %U /home/somebody/mine
            """, name="Owners")
        server = step.start("""exec perl -MIO::Socket::INET -e '
            my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 8123, Listen => 5, ReuseAddr => 1) or die;
            my $c = $s->accept; print $c "from the server\\n"; close $c;'
            """, name="Server")
        step.run("until nc 127.0.0.1 8123; do :; done", name="Client", image="local/busybox:1")
        server.wait()
'''


@pytest.mark.long
def test_a_debian_does_what_a_debian_does(world: World) -> None:
    root = TARGET / "root.tar"
    assert root.exists(), "make build/debian/root.tar"
    layout = Layout(world.path / "debian").image("local/debian:1", [packed(root.read_bytes(), "none")])
    world.danube("image", "load", str(layout.file(world.path / "debian.tar")))
    small = Layout(world.path / "busybox").image("local/busybox:1", [busybox()])
    world.danube("image", "load", str(small.file(world.path / "busybox.tar")))
    directory = world.pipeline("debian", DANUBEFILE, image="local/debian:1")
    (directory / "hello.deb").write_bytes((TARGET / "hello.deb").read_bytes())
    world.serve()
    job = world.trigger("debian")
    end = world.end_of(job, 120)
    assert end["status"] == "success", world.log(job)
    printed = world.printed(job)
    for line in ("installed", "out/a 33:33 644", "out/b 1:8 4755", "1500", "somebody", "from the server"):
        assert f"\n{line}\n" in f"\n{printed}", line
