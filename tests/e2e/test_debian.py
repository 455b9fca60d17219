"""A whole Debian as an image, in a job: package installation, users and owners, as root inside of the container."""

import os
import sys

import pytest

from build_steps.debian_root import TARGET
from tests.adapters.images.containers import busybox
from tests.adapters.runtimes.sandbox.as_user import ROOT, run_as_ordinary_user
from tests.support.image_layouts import Layout, packed
from tests.support.server import Installation

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
            umask 022  # 002 where the steps share the workspace by its group
            mkdir /tree && cd /tree
            touch a b && chown 33:33 a && chown daemon:mail b && chmod 4755 b
            tar cf /workspace/tree.tar . && mkdir out && tar xpf /workspace/tree.tar -C out
            stat -c '%n %u:%g %a' out/a out/b
            useradd -m -u 1500 builder
            su builder -c 'id -u; touch ~/mine; test ! -w /etc/passwd'
            stat -c %U /home/builder/mine
            """, name="Owners")
        server = step.start("""exec perl -MIO::Socket::INET -e '
            my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 8123, Listen => 5, ReuseAddr => 1) or die;
            my $c = $s->accept; print $c "from the server\\n"; close $c;'
            """, name="Server")
        step.run("until nc 127.0.0.1 8123; do :; done", name="Client", image="local/busybox:1")
        server.wait()
'''


WITH_ONE_ID = """
    from danube import pipeline, step

    @pipeline(name="debian")
    def build():
        step.run("id -u; perl -e 'print 6 * 7, chr 10' > made; tar cf tree.tar -C /usr/share/doc . ; ls -l made", name="Works")
        step.run("apt-get install -y --no-install-recommends ./hello.deb", name="Packages")
"""


def debian_job(danube: Installation, danubefile: str) -> str:
    """A running job in a Debian, with a busybox beside it."""
    root = TARGET / "root.tar"
    assert root.exists(), "make build/debian/root.tar"
    layout = Layout(danube.path / "debian").image("local/debian:1", [packed(root.read_bytes(), "none")])
    danube.command("image", "load", str(layout.file(danube.path / "debian.tar")))
    small = Layout(danube.path / "busybox").image("local/busybox:1", [busybox()])
    danube.command("image", "load", str(small.file(danube.path / "busybox.tar")))
    directory = danube.pipeline("debian", danubefile, image="local/debian:1")
    (directory / "hello.deb").write_bytes((TARGET / "hello.deb").read_bytes())
    danube.serve()
    return danube.trigger("debian")


@pytest.mark.long
def test_a_debian_installs_packages_and_has_its_users(danube: Installation) -> None:
    job = debian_job(danube, DANUBEFILE)
    end = danube.end_of(job, 240)
    assert end["status"] == "success", danube.log(job)
    assert "--- ids: " not in danube.log(job)
    printed = danube.printed(job)
    for line in ("installed", "out/a 33:33 644", "out/b 1:8 4755", "1500", "builder", "from the server"):
        assert f"\n{line}\n" in f"\n{printed}", line


if os.geteuid() == 0:

    @pytest.mark.long
    @pytest.mark.parametrize("lent_ids", [True, False])
    def test_an_ordinary_user_has_such_a_debian_where_ids_allow_it(lent_ids: bool) -> None:
        name = (
            "test_a_debian_installs_packages_and_has_its_users"
            if lent_ids
            else "test_with_one_id_the_log_says_what_is_missing"
        )
        words = [sys.executable, "-m", "pytest", "-q", "-m", "long", f"tests/e2e/test_debian.py::{name}"]
        done = run_as_ordinary_user(words, directory=ROOT, subordinate_ids=lent_ids)
        assert done.returncode == 0, done.stdout[-8000:]
        assert "1 passed" in done.stdout

else:

    @pytest.mark.long
    def test_with_one_id_the_log_says_what_is_missing(danube: Installation) -> None:
        """Programs that need one user run; those that need more fail, and the log gives the reason before them."""
        job = debian_job(danube, WITH_ONE_ID)
        end = danube.end_of(job, 240)
        assert (end["status"], [step["status"] for step in end["steps"]]) == ("failure", ["success", "failure"])
        log = danube.log(job)
        notice = "--- ids: /etc/subuid and /etc/subgid do not give 1234 65535 ids, so images have one user, who is not root; usermod "
        assert notice in log
        assert "\n1000\n" in log
