"""Tricks with files: what a server must measure, bound and remove."""

from random import Random

from tests.adversary.tricks import in_python, in_step, trick


@trick
def deep_directories(random: Random) -> str:
    """Far deeper than a path may be long."""
    return in_python(f"""
import os
name = "d" * {random.randint(1, 200)}
for _ in range({random.randint(500, 3000)}):
    os.mkdir(name)
    os.chdir(name)
open("bottom", "w").write("x")
""")


@trick
def wide_directory(random: Random) -> str:
    """Thousands of files, pipes or links in one directory."""
    make = random.choice(
        ("open(name, 'w').close()", "os.mkfifo(name)", "os.symlink('/nowhere', name)", "os.mkdir(name)")
    )
    return in_python(f"""
import os
os.mkdir("wide")
for number in range({random.randint(1000, 20000)}):
    name = f"wide/{{number}}"
    {make}
""")


@trick
def odd_names(random: Random) -> str:
    """Every byte that a name can have, and the longest names."""
    seed = random.randrange(1 << 30)
    return in_python(f"""
import os, random
draw = random.Random({seed})
for number in range(200):
    name = draw.randbytes(draw.randint(1, 255)).translate(None, b"\\0/")
    if name not in (b"", b".", b".."): open(name, "wb").close()
for name in (b"-rf", b"*", b"\\n", b"\\xff\\xfe", b" ", b"a\\tb", b"\\x1b]0;x\\x07", b"..." * 85):
    os.mkdir(name)
""")


@trick
def sparse_files(random: Random) -> str:
    """Sizes that no disk has."""
    return in_step(f"truncate -s {random.choice(('8T', '15T', '1E', '9E'))} huge; truncate -s 4T also; ls -ls; du -k .")


@trick
def deleted_and_open(random: Random) -> str:
    """Content without a name, held by a process that leaves its step."""
    return in_step(
        f"exec 7>held; rm held; head -c {random.randint(5, 40)}000000 /dev/zero >&7; setsid sleep 300 & sleep 1"
    )


@trick
def without_permissions(random: Random) -> str:
    """Directories that their owner cannot read, search or write to."""
    mode = random.choice(("000", "100", "200", "444", "111"))
    return in_step(
        f"mkdir -p closed/a/b/c; touch closed/a/b/c/f; chmod -R {mode} closed/a/b; chmod {mode} closed/a closed ."
    )


@trick
def moving_tree(random: Random) -> str:
    """A tree that changes while it is measured."""
    return in_python(f"""
import os, time
os.makedirs("one/a/b/c"); os.mkdir("two")
until = time.monotonic() + {random.uniform(1, 3)}
while time.monotonic() < until:
    os.rename("one/a", "two/a"); open("two/a/b/f", "w").close(); os.rename("two/a", "one/a")
    os.rename("one/a/b", "b"); open("one/a/b", "w").close(); os.unlink("one/a/b"); os.rename("b", "one/a/b")
""")


@trick
def link_loops(random: Random) -> str:
    """Links to themselves, to all above, out of the workspace; and files with thousands of names."""
    return in_step(
        f"ln -s self self; ln -s . here; ln -s / root; ln -s /proc/1/root other; touch f; mkdir links; "
        f"for i in $(seq {random.randint(100, 900)}); do ln f links/$i; done; ln -s ../.. up"
    )


@trick
def special_files(random: Random) -> str:
    """Devices, pipes and sockets."""
    return in_step(
        "mkfifo p; mknod b b 7 0; mknod c c 1 3; python3 -c 'import socket; socket.socket(1).bind(\"s\")'; ls -l"
    )


@trick
def beyond_the_disk(random: Random) -> str:
    """More than a workspace may have, allocated at once."""
    place = random.choice((".", "/tmp", "/root", "~"))
    return in_step(f"cd {place}; fallocate -l 1015M f; head -c 20M /dev/zero > g; sleep 3")


@trick
def full_memory_files(random: Random) -> str:
    """Files in memory, up to their bound."""
    place = random.choice(("/dev/shm/x", "/run/x", "/tmp/x", "/dev/x"))
    return in_step(f"head -c {random.choice((50, 150, 300))}000000 /dev/zero > {place}; df -k {place}")


@trick
def everything_removed(random: Random) -> str:
    """Whatever can be removed or replaced from inside; only where `/.danube` shows that this is a pod."""
    command = random.choice(
        (
            "rm -rf --no-preserve-root / 2>/dev/null; true",
            "rm -rf /workspace /.danube; mkdir /.danube; ln -s /etc /workspace",
            "mv /workspace /w; mv /tmp /t; ln -s /proc /tmp",
            "chmod -R 000 / 2>/dev/null; chown -R 12345 /workspace /tmp",
        )
    )
    return in_step(f"test -x /.danube/danube-step || exit 9; {command}")


@trick
def mounts(random: Random) -> str:
    """Mounts, other roots and namespaces."""
    return in_step(
        "mount -t tmpfs x /mnt; mount --bind / /tmp; umount -l /workspace; unshare -Urm true; unshare -n true; "
        "chroot /workspace true; mkdir -p /workspace/m; mount -o remount,rw /; mount -t proc x /workspace/m"
    )
