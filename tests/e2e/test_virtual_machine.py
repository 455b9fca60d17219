"""Danube on a Debian with its own kernel, systemd and control groups of version 2, booted as a virtual machine.

What the kernel is to do is read from the kernel: its files of the control groups.
"""

import re
from collections.abc import Iterator

import pytest

from tests.support.released import released_programs
from tests.support.virtual_machine import VirtualMachine, virtual_machine, what_is_missing

pytestmark = pytest.mark.long

JOB_SECONDS = 1500.0
"""Without KVM a job takes minutes."""

DANUBEFILE = """
from danube import pipeline, step

@pipeline(name="limits")
def build():
    step.run("python3 bomb.py", name="bomb", timeout_seconds=120, check=False)
    step.run("echo after the bomb; cat /proc/self/oom_score_adj", name="after")
    step.run("python3 taker.py", name="taker")
"""

PIPELINE = """
apiVersion: danube.dev/v1
kind: Pipeline
metadata: {name: limits}
spec: {repository: /srv/limits, triggers: [{on: manual}], resources: {memory_mb: 160, cpu: 0.8}}
"""

BOMB = """
import os
while True:
    try:
        os.fork()
    except OSError:  # half of the processes end at the bound, so that there are new ones all the time
        os.getpid() % 2 and os.kill(os.getpid(), 9)
"""

TAKER = "taken = []\nwhile True: taken.append(bytes(range(256)) * 16384)\n"

WATCH = """
while sleep 2; do
    for pod in /sys/fs/cgroup/danube/pods/*/*/; do
        cd $pod && echo $(cat memory.max memory.swap.max pids.max) / $(cat cpu.max) / $(cat pids.current) / \
            $(cat pids.events) / $(grep oom_kill memory.events) / $(grep nr_throttled cpu.stat)
    done
done
"""
"""Prints a line for each pod every two seconds: its limits, and what has come of them."""

RUN = """
    systemd-run --quiet --unit=watch sh -c 'exec sh /srv/watch.sh > /srv/watch.log 2>&1'
    cd /srv/limits && danube-by-hand run --pipeline pipeline.yaml; echo exit code $?
    systemctl stop watch
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualMachine]:
    assert not what_is_missing(), what_is_missing()
    directory = tmp_path_factory.mktemp("virtual") / "machine"
    with virtual_machine(directory, {"danube": released_programs().present}) as booted:
        booted.sh("install -m 755 danube /usr/bin/danube-by-hand")
        yield booted


@pytest.fixture(scope="module")
def limited(machine: VirtualMachine) -> tuple[str, str]:
    """What a job printed that exceeds each of its limits, and what was seen of its control group meanwhile."""
    files = {"danubefile.py": DANUBEFILE, "pipeline.yaml": PIPELINE, "bomb.py": BOMB, "taker.py": TAKER}
    for name, text in files.items():
        machine.write(f"/srv/limits/{name}", text)
    machine.write("/srv/watch.sh", WATCH)
    return machine.sh(RUN, seconds=JOB_SECONDS), machine.sh("cat /srv/watch.log")


def test_the_machine_has_debians_kernel_and_control_groups_of_version_2_alone(machine: VirtualMachine) -> None:
    print(machine.accelerator, machine.sh("uname -r; systemctl --version | head -1"))
    assert machine.sh("stat -f -c %T /sys/fs/cgroup") == "cgroup2fs\n"
    assert machine.sh("ls /sys/class/net").split() == ["lo"]
    assert machine.sh("systemctl is-system-running") == "running\n"


def test_the_doctor_of_root_finds_the_limits_of_the_kernel(machine: VirtualMachine) -> None:
    found = machine.sh("danube-by-hand doctor", seconds=JOB_SECONDS)
    assert "control groups, version 2, limit a pod's memory, processes, CPU" in found
    assert "ok   pod: a pod was created" in found
    assert "FAIL" not in found


def test_the_kernel_has_the_limits_of_the_pod(limited: tuple[str, str]) -> None:
    assert f"{160 << 20} 0 160 / 80000 100000 /" in limited[1]


def test_a_fork_bomb_is_bounded_and_the_next_step_runs(limited: tuple[str, str]) -> None:
    printed, watched = limited
    refused = [int(number) for number in re.findall(r" / max (\d+) / ", watched)]
    assert max(refused) > 0
    assert max(int(number) for number in re.findall(r"100000 / (\d+) / ", watched)) <= 160
    assert "after the bomb\n" in printed


def test_steps_end_before_the_server_when_the_machine_has_no_memory_left(limited: tuple[str, str]) -> None:
    assert "800\n" in limited[0]


def test_the_processor_is_limited(limited: tuple[str, str]) -> None:
    assert max(int(number) for number in re.findall(r"nr_throttled (\d+)", limited[1])) > 0


def test_the_job_that_took_too_much_memory_says_so(limited: tuple[str, str]) -> None:
    printed = limited[0]
    assert "exit code 1\n" in printed
    assert "job failure (out-of-memory)" in printed
    assert "step 'taker' was killed by the kernel: its container was out of memory" in printed


def test_no_group_of_a_pod_is_left(machine: VirtualMachine, limited: tuple[str, str]) -> None:
    assert "exit code" in limited[0]
    assert machine.sh("ls -d /sys/fs/cgroup/danube/pods/*/*/ 2> /dev/null", check=False) == ""
