"""Tricks with the coordinator's calls and with the network: from the danubefile, its children and its steps."""

from random import Random

from tests.adversary.tricks import in_python, in_step, trick


@trick
def guessed_tokens(random: Random) -> str:
    """Calls as other jobs."""
    return f"""
own = token()
guesses = ["", "x", own[:-1], own + "x", own.swapcase(), own[::-1], "x" * 7000, *("%064x" % {random.getrandbits(128)} for _ in range(20))]
for guess in guesses:
    attempt(lambda: stub().Finish(pb.FinishRequest(protocol_version=1), metadata=bearer(guess), timeout=5))
    attempt(lambda: stub().ReadSecret(pb.ReadSecretRequest(protocol_version=1, sequence=1, key="k"), metadata=bearer(guess), timeout=5))
"""


@trick
def many_calls(random: Random) -> str:
    """Steps, sources and secrets at once, each from a thread and over a connection of its own."""
    return f"""
def call(number):
    one, mine = stub(), bearer(token())
    attempt(lambda: one.RunStep(pb.RunStepRequest(protocol_version=1, sequence=1000 + number, name="many", command="true"), metadata=mine, timeout=6))
    attempt(lambda: next(one.FetchSource(pb.FetchSourceRequest(protocol_version=1), metadata=mine, timeout=6)))
    attempt(lambda: one.ReadSecret(pb.ReadSecretRequest(protocol_version=1, sequence=1000 + number, key="none"), metadata=mine, timeout=6))
threads = [threading.Thread(target=call, args=(number,), daemon=True) for number in range({random.randint(20, 60)})]
for thread in threads: thread.start()
for thread in threads: thread.join(10)
"""


@trick
def huge_messages(random: Random) -> str:
    """Messages of megabytes, and streams of them."""
    character = random.choice(("x", "\U0001f600"))
    return f"""
mine, large = bearer(token()), {character!r} * 3_000_000
attempt(lambda: stub().RunStep(pb.RunStepRequest(protocol_version=1, sequence=2000, name=large, command=large), metadata=mine, timeout=6))
attempt(lambda: stub().Start(pb.StartRequest(protocol_version=1), metadata=(*mine, ("x-large", "x" * 500_000)), timeout=6))
pieces = (pb.ArtifactChunk(protocol_version=1, sequence=2001, name="huge", file_name="huge", data=bytes(1 << 20)) for _ in range(20))
attempt(lambda: stub().UploadArtifact(pieces, metadata=mine, timeout=6))
"""


@trick
def strange_numbers(random: Random) -> str:
    """Versions and sequences that no SDK sends, and the same sequence for different things."""
    return """
mine = bearer(token())
for version in (0, 2, 2 ** 31 - 1):
    attempt(lambda: stub().Start(pb.StartRequest(protocol_version=version), metadata=mine, timeout=5))
for sequence in (0, 1, 1, 2 ** 31 - 1, 2 ** 32 - 1, -1):
    for command in ("true", "false", ""):
        attempt(lambda: stub().RunStep(pb.RunStepRequest(protocol_version=1, sequence=sequence, command=command, timeout_seconds=3), metadata=mine, timeout=5))
"""


@trick
def second_finish(random: Random) -> str:
    """The job is finished by a call of its own, twice, while a step may run."""
    begun = random.choice(("", "step.start('sleep 5', name='runs on', timeout_seconds=8)\n"))
    return (
        begun
        + "for _ in range(2):\n    attempt(lambda: stub().Finish(pb.FinishRequest(protocol_version=1), metadata=bearer(token()), timeout=5))"
    )


@trick
def calls_of_a_child(random: Random) -> str:
    """A child process with the token makes steps and finishes the job."""
    return f"""
program = '''
import sys
sys.path[:0] = {{path!r}}
import grpc
from danube._proto import coordinator_pb2 as pb
from danube._proto.coordinator_pb2_grpc import CoordinatorStub
stub = CoordinatorStub(grpc.insecure_channel("unix:/.danube/run/coordinator.sock"))
mine = (("authorization", "Bearer " + open("/.danube/token").read()),)
for number in range({random.randint(1, 4)}):
    try: stub.RunStep(pb.RunStepRequest(protocol_version=1, sequence=3000 + number, name="child", command="true"), metadata=mine, timeout=6)
    except grpc.RpcError as error: print(error.code())
    try: stub.Finish(pb.FinishRequest(protocol_version=1), metadata=mine, timeout=5)
    except grpc.RpcError as error: print(error.code())
'''.format(path=sys.path)
attempt(lambda: subprocess.run([sys.executable, "-c", textwrap.dedent(program)], timeout=20, check=False))
"""


@trick
def raw_bytes(random: Random) -> str:
    """What is not gRPC on the socket, and connections that say nothing."""
    return f"""
draw, held = random.Random({random.getrandbits(30)}), []
def raw(data):
    one = socket.socket(socket.AF_UNIX)
    one.settimeout(2)
    one.connect("/.danube/run/coordinator.sock")
    held.append(one)
    one.sendall(data)
    if data: one.recv(100)
preface = b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n"
for data in (b"GET / HTTP/1.1\\r\\n\\r\\n", preface + draw.randbytes(5000), preface + b"\\0\\0\\0\\4\\0\\0\\0\\0\\0" * 5000, draw.randbytes(50000)):
    attempt(lambda: raw(data))
for _ in range({random.randint(10, 100)}):
    attempt(lambda: raw(b""))
"""


@trick
def all_connections(random: Random) -> str:
    """More connections than the server has for all jobs together, held for some seconds and opened again."""
    return f"""
held, until = [], time.monotonic() + {random.randint(3, 8)}
def connect():
    one = socket.socket(socket.AF_UNIX)
    held.append(one)
    one.connect("/.danube/run/coordinator.sock")
    one.sendall(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n\\0\\0\\0\\4\\0\\0\\0\\0\\0")
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
while time.monotonic() < until:
    for _ in range({random.randint(100, 1200)}):
        try: connect()
        except OSError: break
    held.clear()
"""


@trick
def abandoned_steps(random: Random) -> str:
    """Steps that are started and not waited for, and a danubefile that leaves while they run."""
    return "for number in range(5):\n    attempt(lambda: step.start('sleep 30', name='left %d' % number, timeout_seconds=8))"


@trick
def end_of_the_danubefile(random: Random) -> str:
    """The danubefile's own process ends in a way that no program should."""
    return random.choice(
        (
            "os._exit(0)",
            "os.kill(os.getpid(), 9)",
            "os.kill(os.getpid(), 19)",
            "os.fork() or os._exit(0)",
            "os.close(1); os.close(2)",
            "raise SystemExit('--- job success')",
            "raise KeyboardInterrupt",
            "sys.setrecursionlimit(1 << 30); (lambda f: f(f))(lambda f: f(f))",
        )
    )


@trick
def sockets_of_the_pod(random: Random) -> str:
    """A step that looks for the sockets of the server and of the coordinator."""
    return in_step(
        "ls -la /.danube /run /var/run /tmp; find / -xdev -type s 2>/dev/null; ls /proc/*/root 2>/dev/null | head -n 50"
    )


@trick
def refused_connections(random: Random) -> str:
    """Connections within the pod's own network to ports where nothing listens, and all kinds of sockets."""
    return in_python(f"""
import socket
for family, kind, protocol in ((2, 1, 0), (2, 2, 0), (10, 1, 0), (2, 3, 1), (17, 3, 768), (16, 3, 0), (38, 5, 0), (40, 1, 0), (1, 5, 0)):
    try:
        with socket.socket(family, kind, protocol) as one:
            one.settimeout(1)
            one.connect(("127.0.0.1" if family == 2 else "::1", {random.randint(1, 65535)}))
    except (OSError, TypeError, OverflowError) as error:
        print(family, kind, error)
""")


@trick
def strange_requests_to_the_proxy(random: Random) -> str:
    """Bytes that are not a request, requests for what is refused, and connections that send nothing."""
    targets = random.sample(
        (
            "127.0.0.1:1",
            "[::1]:1",
            "x:99999",
            "127.0.0.1:0",
            "@127.0.0.1:1",
            "2130706433:1",
            "0:1",
            "x" * 9000 + ":1",
            "\\r\\n",
            "",
        ),
        5,
    )
    return in_python(
        f"""
import os, random, socket
from urllib.parse import urlsplit
proxy, draw, held = urlsplit(os.environ.get("https_proxy", "http://127.0.0.1:1")), random.Random({random.getrandbits(30)}), []
def send(data):
    try:
        one = socket.create_connection((proxy.hostname, proxy.port), timeout=2)
        held.append(one)
        one.sendall(data)
        print(one.recv(200) if data else "")
    except OSError as error:
        print(error)
for target in {targets!r}:
    send(f"CONNECT {{target}} HTTP/1.1\\r\\nHost: {{target}}\\r\\n\\r\\n".encode())
    send(f"GET http://{{target}}/ HTTP/1.1\\r\\nHost: {{target}}\\r\\n\\r\\n".encode())
for data in (b"", draw.randbytes(3000), b"GET " * 9000, b"\\x16\\x03\\x01" + draw.randbytes(300), b"POST http://127.0.0.1:1/ HTTP/1.1\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\nzz\\r\\n"):
    send(data)
for _ in range(100): send(b"")
""",
        seconds=20,
    )
