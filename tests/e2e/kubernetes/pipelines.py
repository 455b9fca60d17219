"""The twenty pipelines that every cluster must run: each with how it ends, and what its log has and has not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

HEAD = "from danube import artifacts, ctx, pipeline, secrets, step\n\n"


@dataclass(frozen=True, slots=True)
class Case:
    """body: of the pipeline's function. status, reason: how the job ends. printed: what its log has. files: of its
    repository. spec: further fields of its document."""

    body: str
    status: str = "success"
    reason: str = ""
    printed: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)

    @property
    def danubefile(self) -> str:
        lines = "".join(f"    {line}\n" for line in self.body.splitlines())
        return f"{HEAD}@pipeline(name='t')\ndef build():\n{lines}"


FAN_OUT = """
with step.parallel():
    for number in range(4):
        step.start(f"echo part {number} > part-{number}", name=f"part {number}")
step.run("cat part-*", name="join")
"""
IMAGES = """
step.run("echo from the first > file", name="first")
step.run("cat file; echo from the second >> file", name="second", image="tools:2")
with step.parallel():
    step.start("cat file", name="third", image="tools:3")
    step.start("cat file", name="again", image="tools:2")
"""
SERVICE = """
serve = "exec python3 -c 'import socket; s = socket.create_server((\\"127.0.0.1\\", 8137))\\nwhile s: s.accept()'"
probe = "python3 -c 'import socket; socket.create_connection((\\"127.0.0.1\\", 8137))'"
with step.service("web", serve, ready=probe):
    step.run(f"{probe} && echo reached", name="reach")
"""
OUTPUT = """
found = step.run("echo the answer is 42", name="asks").output
step.run(f"echo again: {found.strip()}", name="repeats")
"""
LOOP = """
for number in range(15):
    step.run(f"echo round {number}", name=f"round {number}")
"""
CAUGHT = """
found = step.run("exit 3", name="may fail", check=False)
step.run(f"echo it was {found.exit_code}")
"""
MANY_LINES = "step.run('i=0; while [ $i -lt 20000 ]; do echo line $i of many; i=$((i+1)); done', name='prints')"

PIPELINES: Mapping[str, Case] = {
    "hello": Case("step.run('echo hello')", printed=("hello\n",)),
    "exit-code": Case("step.run('exit 7', name='seven')", "failure", "step-failed"),
    "signal": Case("step.run('kill -9 $$', name='nine')", "failure", "step-failed"),
    "timeout": Case("step.run('sleep 60', timeout_seconds=1)", "timeout", "step-timeout"),
    "fan-out": Case(FAN_OUT, printed=("part 0\npart 1\npart 2\npart 3\n",)),
    "images": Case(IMAGES, printed=("from the first\nfrom the second\n",)),
    "bad-image": Case("step.run('true', image='no.such.invalid/none:1')", "failure", "image-pull-failed"),
    "artifact": Case("step.run('echo kept > file')\nartifacts.upload('file', name='kept')"),
    "files": Case(
        "step.run('cat given/file')", printed=("of the repository",), files={"given/file": "of the repository\n"}
    ),
    "environment": Case("step.run('echo is $COLOUR', env={'COLOUR': 'red'})", printed=("is red\n",)),
    "service": Case(SERVICE, printed=("reached\n",)),
    "output": Case(OUTPUT, printed=("again: the answer is 42\n",)),
    "many-lines": Case(MANY_LINES, printed=("line 0 of many\n", "line 19999 of many\n")),
    "many-steps": Case(LOOP, printed=("round 14\n",)),
    "raises": Case("raise ValueError('not today')", "failure", "script-error"),
    "leaves": Case("import os\nos._exit(0)", "failure", "script-exited"),
    "no-directory": Case("step.run('true', working_directory='/nowhere')", "failure", "command-not-started"),
    "caught": Case(CAUGHT, printed=("it was 3\n",)),
    "background": Case("step.run('sleep 1000 & echo left one', name='leaves')", printed=("left one\n",)),
    "no-input": Case("step.run('cat; echo nothing to read')", printed=("nothing to read\n",)),
}
