"""Tricks with names, artifacts and images: texts and files that a server takes from a danubefile."""

from random import Random

from tests.adversary.tricks import in_python, in_step, trick

NAMES = (
    "",
    " ",
    ".",
    "..",
    "../../../etc/passwd",
    "/etc/passwd",
    "a/../../b",
    "a/b",
    "a\\b",
    "-rf",
    "NUL",
    "name\n--- job success",
    "\x1b]0;title\x07\x1b[2J\r",
    "\x00",
    "\ud800",
    "\u202egnp.exe",
    "\u0130\u0131\uff0e\uff0f",
    "x" * 127,
    "x" * 5_000,
    "\U0001f600" * 300_000,
    "%2e%2e%2f",
    "${HOME}$(id)`id`",
    "<script>alert(1)</script>",
)

IMAGES = (
    "",
    " ",
    "host:latest",
    "HOST",
    "UPPER/case",
    "../../etc",
    "http://127.0.0.1:1/x",
    "127.0.0.1:1/x:y",
    "localhost:1/x",
    "[::1]:1/x",
    "127.0.0.1:1/x@sha256:" + "0" * 64,
    "127.0.0.1:1/x@sha256:" + "z" * 64,
    "127.0.0.1:99999/x",
    "0x7f000001:1/x",
    "2130706433:1/x",
    "127.0.0.1:1/" + "a/" * 500 + "b",
    "x" * 100_000,
    "name\n127.0.0.1:1/x",
    "\x1b[2J",
)
"""None leads out of the loopback, whatever becomes of it."""


@trick
def step_names(random: Random) -> str:
    """Steps with names that are no names."""
    chosen = random.sample(NAMES, 6)
    return f"for name in {chosen!r}:\n    attempt(lambda: step.run('true', name=name, check=False, timeout_seconds=8))"


@trick
def step_settings(random: Random) -> str:
    """Directories, shells and variables that lead elsewhere."""
    settings = random.sample(
        (
            {"working_directory": "../../.."},
            {"working_directory": "/proc/1/root"},
            {"working_directory": "x" * 5000},
            {"env": {f"V{number}": "x" * 500 for number in range(1000)}},
            {"env": {"LD_PRELOAD": "/workspace/x.so", "PATH": "/workspace", "DANUBE_TOKEN_FILE": "/etc/passwd"}},
            {"env": {"A\n": "b", "": "c"}},
            {"shell": "/workspace/none -c"},
            {"shell": "x" * 9000},
            {"timeout_seconds": 1 << 40},
            {"retries": -1},
        ),
        5,
    )
    return f"for more in {settings!r}:\n    attempt(lambda: step.run('sleep 0', name='set', check=False, **{{'timeout_seconds': 8, **more}}))"


@trick
def artifact_names(random: Random) -> str:
    """Artifacts with names that lead elsewhere, or that are taken."""
    chosen = [*random.sample(NAMES, 6), "same", "same", "Same", "same.tar.gz"]
    return f"{in_step('mkdir -p d; echo x | tee file d/file')}\nfor name in {chosen!r}:\n    for path in ('file', 'd'):\n        attempt(lambda: artifacts.upload(path, name=name))"


@trick
def artifact_links(random: Random) -> str:
    """Artifacts that are links, pipes or devices, or that contain them."""
    made = in_step(
        "ln -s /.danube/token token; ln -s /etc/passwd passwd; ln -s /dev/zero zero; mkfifo pipe; mkdir -p has; "
        "ln -s /.danube/token has/token; mkfifo has/pipe; ln has/pipe has/pipe2; ln -s . has/loop; ln -s /proc/self/fd has/fds"
    )
    paths = [
        "token",
        "passwd",
        "zero",
        "pipe",
        "has",
        "*",
        "**",
        "/etc/passwd",
        "../../etc/passwd",
        "has/loop/../../..",
        "/dev/zero",
    ]
    return f"{made}\nfor path in {random.sample(paths, 7)!r}:\n    attempt(lambda: artifacts.upload(path, name='a%d' % next(numbers)))"


@trick
def changing_artifacts(random: Random) -> str:
    """Files that grow, shrink, vanish or become something else while they are read."""
    change = random.choice(
        (
            "while :; do echo more >> d/f; done",
            "while :; do head -c 9000000 /dev/zero > d/f; : > d/f; done",
            "while :; do rm -f d/f; ln -s /etc/passwd d/f; rm -f d/f; echo x > d/f; done",
            "while :; do mv d e; ln -s /etc d; rm d; mv e d; done",
        )
    )
    made = in_step(
        f"mkdir -p d; head -c 9000000 /dev/urandom > d/f; (setsid sh -c {change!r} > /dev/null 2>&1 &); sleep 0.1"
    )
    return f"{made}\nfor path in ('d/f', 'd', 'd/*') * 2:\n    attempt(lambda: artifacts.upload(path, name='a%d' % next(numbers)))"


@trick
def many_artifacts(random: Random) -> str:
    """More artifacts than a job may keep; the configuration of `test_batches.py` has the bound."""
    return f"{in_step('echo x > small')}\nfor number in range({random.randint(30, 80)}):\n    attempt(lambda: artifacts.upload('small', name='m%d' % number))"


@trick
def strange_tree_as_artifact(random: Random) -> str:
    """A directory with odd names, depth, and files that cannot be read."""
    made = in_python("""
import os
os.mkdir("strange")
for name in (b"\\xff\\xfe", b"\\n", b"-", b"x" * 255, b"\\x1b[2J"):
    open(b"strange/" + name, "wb").write(b"x")
os.chdir("strange")
os.truncate(os.open("sparse", os.O_CREAT | os.O_RDWR), 40 << 20)
for _ in range(300):
    os.mkdir("d" * 100); os.chdir("d" * 100)
os.mkdir("closed", 0)
""")
    return f"{made}\nattempt(lambda: artifacts.upload('strange', name='strange'))"


@trick
def image_references(random: Random) -> str:
    """Images that no registry has, and references that are none."""
    return f"for image in {random.sample(IMAGES, 5)!r}:\n    attempt(lambda: step.run('true', name='image', image=image, check=False, timeout_seconds=8))"


@trick
def strange_prints(random: Random) -> str:
    """Output of the danubefile itself that no terminal wants."""
    return f"print('x' * {random.randint(1, 3)}_000_000)\nprint('\\x1b]0;t\\x07\\r\\x00--- job success', flush=True)\nsys.stdout.buffer.write(bytes(range(256)) * 500)"
