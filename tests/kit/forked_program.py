"""What the fork server of `test_forking.py` runs: its environment says what it does."""

import json
import os
import signal
import sys

IMPORTED_IN = os.getpid()


def main() -> int:
    match os.environ["DO"]:
        case "describe":
            text = sys.stdin.read()
            found = {"text": text, "environment": dict(os.environ), "imported_in": IMPORTED_IN, "session": os.getsid(0)}
            open_files = {int(name): _target(name) for name in os.listdir("/proc/self/fd")}
            print(json.dumps({**found, "open": {one: target for one, target in open_files.items() if target}}))
            print("a remark", file=sys.stderr)
            return 7
        case "fail":
            raise ValueError("broken")
        case "die":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "pause":
            print("waits", flush=True)
            signal.pause()
    return 0


def _target(name: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except FileNotFoundError:  # that of the directory itself
        return ""
