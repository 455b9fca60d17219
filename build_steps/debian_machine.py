"""A Debian for a virtual machine, `build/debian/machine.*`: its kernel, its initial file system and its disk.

It has what a server has that runs containers, and nothing of Danube. At its start it unpacks the second disk, which is
a tar file, into /root, and carries out commands that come over the second serial line (`AGENT`).

mmdebstrap takes it from the archive that this machine's apt uses, and needs root.
"""

import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from build_steps.debian_root import TARGET, find_archive, run
from build_steps.debian_system import PACKAGES

KERNELS = {"x86_64": "linux-image-cloud-amd64", "aarch64": "linux-image-cloud-arm64"}

MORE_PACKAGES = ("initramfs-tools", "apparmor", "dbus-user-session", "libpam-systemd", "iptables", "podman", "crun",
                 "netavark", "slirp4netns", "docker.io", "docker-compose")  # fmt: skip

DISK_SIZE = "16G"
"""In a sparse file, of which Debian takes 1.3 GB: a pod with a file system of its own reserves 5 GB."""

AGENT = """
import json, os, subprocess, termios
line = os.open("/dev/ttyS1", os.O_RDWR | os.O_NOCTTY)
state = termios.tcgetattr(line)
state[0] = state[1] = state[3] = 0
termios.tcsetattr(line, termios.TCSANOW, state)
for text in open(line, "rb", buffering=0, closefd=False):
    try:
        request = json.loads(text)
    except ValueError:  # the end of a line that was sent before this program listened
        continue
    given = {"input": request["given"], "timeout": request["seconds"], "cwd": "/root", "text": True, "errors": "replace"}
    pipe = subprocess.PIPE
    try:
        done = subprocess.run(request["words"], stdout=pipe, stderr=pipe, **given)
        answer = [done.returncode, done.stdout, done.stderr]
    except (OSError, subprocess.TimeoutExpired) as error:
        answer = [-1, "", repr(error)]
    answer = json.dumps({"number": request["number"], "answer": answer}).encode() + b"\\n"
    while answer:
        answer = answer[os.write(line, answer):]
"""

UNIT = """
[Unit]
Description=Carries out commands of the host
After=basic.target

[Service]
Type=exec
Environment=HOME=/root
ExecStartPre=-/bin/tar -C /root --no-same-owner -xf /dev/vdb
ExecStart=/usr/bin/python3 /usr/local/lib/agent.py
Restart=always
OOMPolicy=continue
OOMScoreAdjust=-900

[Install]
WantedBy=multi-user.target
"""

FILES = {
    "etc/hostname": "machine\n",
    "etc/hosts": "127.0.0.1 localhost machine\n",
    "etc/fstab": "/dev/vda / ext4 defaults 0 1\n",
    "etc/initramfs-tools/conf.d/danube": "MODULES=list\nCOMPRESS=gzip\n",
    "usr/share/initramfs-tools/modules.d/danube": "virtio_pci\nvirtio_mmio\nvirtio_blk\next4\n",
    "usr/local/lib/agent.py": AGENT,
    "etc/systemd/system/agent.service": UNIT,
}

HOOK = """
rm -rf "$1/etc/resolv.conf" "$1"/usr/share/doc/* "$1"/usr/share/man/*
ln -s ../agent.service "$1/etc/systemd/system/multi-user.target.wants/agent.service"
rm "$1"/etc/systemd/system/multi-user.target.wants/docker.service
rm "$1"/etc/systemd/system/multi-user.target.wants/containerd.service
"""


def main() -> int:
    """Make the files; returns 1 where this machine cannot."""
    kernel = KERNELS.get(platform.machine())
    if os.geteuid() != 0 or not shutil.which("mmdebstrap") or kernel is None:
        print("a Debian for tests needs root and mmdebstrap: apt-get install mmdebstrap", file=sys.stderr)
        return 1
    archive, release = find_archive()
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TARGET) as name:
        given, tree, disk = (Path(name) / part for part in ("given", "tree", "disk"))
        for path, text in FILES.items():
            (given / path).parent.mkdir(parents=True, exist_ok=True)
            (given / path).write_text(text)
        packages = ",".join((*PACKAGES, *MORE_PACKAGES, kernel))
        run("mmdebstrap", "--variant=minbase", f"--include={packages}", f"--essential-hook=cp -r {given}/. $1",
            f"--customize-hook={HOOK}", release, f"{name}/made.tar", archive)  # fmt: skip
        tree.mkdir()
        run("tar", "--extract", "--file", f"{name}/made.tar", "--directory", str(tree))
        run("truncate", "--size", DISK_SIZE, str(disk))
        run("mke2fs", "-q", "-t", "ext4", "-F", "-d", str(tree), str(disk))
        os.replace(next(tree.glob("boot/vmlinuz-*")), TARGET / "machine.kernel")
        os.replace(next(tree.glob("boot/initrd.img-*")), TARGET / "machine.initrd")
        os.replace(disk, TARGET / "machine.disk")
    return 0


if __name__ == "__main__":
    sys.exit(main())
