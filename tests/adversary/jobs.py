"""Danubefiles: hostile ones drawn from the tables of tricks by a seed, and an honest one.

`python -m tests.adversary.jobs SEED` prints the hostile one of a seed.
"""

import sys
import textwrap
from collections.abc import Sequence
from random import Random
from typing import Any

from danube_pkg.kit.records import Record
from tests.adversary import call_tricks, file_tricks, name_tricks, process_tricks
from tests.adversary.tricks import TRICKS

MODULES = (call_tricks, file_tricks, name_tricks, process_tricks)
"""Their import fills the table of tricks."""

MAX_TRICKS = 5

HEAD = """
import itertools, os, random, resource, socket, subprocess, sys, textwrap, threading, time

import grpc
from danube import artifacts, pipeline, step
from danube._proto import coordinator_pb2 as pb
from danube._proto.coordinator_pb2_grpc import CoordinatorStub

numbers = itertools.count()

def attempt(work):
    try:
        work()
    except Exception as error:
        print(work.__name__, "ended with", type(error).__name__, repr(error)[:300])

def token():
    return open("/.danube/token").read()

def bearer(value):
    return (("authorization", f"Bearer {value}"),)

def stub():
    return CoordinatorStub(grpc.insecure_channel("unix:/.danube/run/coordinator.sock"))
"""

LINES = 3000
"""Each honest job prints so many."""

HONEST = f"""
from danube import artifacts, pipeline, step

@pipeline(name="honest")
def build():
    step.run("for i in $(seq {LINES}); do echo line $i of the honest job; done; mkdir out", name="prints")
    with step.parallel():
        step.start("seq 100000 > out/numbers", name="writes")
        step.start("sleep 1; test $(ls -A | wc -l) -eq 2", name="sees only its own")
    step.run("sha256sum out/numbers && rm -f out/none && touch out/empty", name="reads")
    artifacts.upload("out/numbers", name="numbers")
    artifacts.upload("out", name="out")
"""

NUMBERS = "".join(f"{number}\n" for number in range(1, 100_001)).encode()
"""The content of the artifact `numbers`."""


class HostileJob(Record):
    """One job of an attacker. spec: of its pipeline. cancel_seconds: after its start; None to let it end."""

    seed: int
    tricks: tuple[str, ...]
    danubefile: str
    spec: dict[str, Any]
    cancel_seconds: float | None

    def __str__(self) -> str:
        return f"seed {self.seed}: {', '.join(self.tricks)}"


def hostile_job(seed: int) -> HostileJob:
    """The same for the same seed."""
    random = Random(seed)
    names = random.sample(sorted(TRICKS), random.randint(1, MAX_TRICKS))
    bodies = [TRICKS[name](random) for name in names]
    spec: dict[str, Any] = {
        "workspace_size_gb": 1,
        "max_duration_seconds": random.choice((20, 40)),
        "resources": {"memory_mb": random.choice((256, 384))},
        "egress_allowlist": random.choice(([], ["files.test:1", "127.0.0.1:1"])),
    }
    cancel_seconds = random.uniform(0, 6) if random.random() < 0.2 else None
    danubefile = _danubefile(names, bodies, at_once=random.random() < 0.4)
    return HostileJob(seed, tuple(names), danubefile, spec, cancel_seconds)


def _danubefile(names: Sequence[str], bodies: Sequence[str], *, at_once: bool) -> str:
    functions = "".join(
        f"\ndef {name}():\n{textwrap.indent(body.strip(), '    ')}\n" for name, body in zip(names, bodies, strict=True)
    )
    if at_once:
        work = f"""
    threads = [threading.Thread(target=attempt, args=(one,), daemon=True) for one in ({", ".join(names)},)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""
    else:
        work = "\n" + "".join(f"    attempt({name})\n" for name in names)
    return f'{HEAD}{functions}\n@pipeline(name="hostile")\ndef build():{work}'


if __name__ == "__main__":
    print(f"# {hostile_job(int(sys.argv[1]))}\n{hostile_job(int(sys.argv[1])).danubefile}")
