"""Generates the typed stubs of `proto/` with grpcio-tools and mypy-protobuf. They are committed; a test compares
them."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "sdk" / "danube" / "_proto"
SOURCE = ROOT / "proto" / "danube" / "v1" / "coordinator.proto"


def generate(target: Path = TARGET) -> None:
    """Write `coordinator_pb2.py`, `coordinator_pb2_grpc.py` and their type stubs to `target`."""
    from grpc_tools import protoc  # a development dependency

    target.mkdir(parents=True, exist_ok=True)
    tools = Path(sys.executable).parent
    words = [
        "protoc",
        f"--proto_path={SOURCE.parent}",
        f"--plugin=protoc-gen-mypy={tools / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={tools / 'protoc-gen-mypy_grpc'}",
        f"--python_out={target}",
        f"--grpc_python_out={target}",
        f"--mypy_out=quiet:{target}",
        f"--mypy_grpc_out=quiet:{target}",
        SOURCE.name,
    ]
    if protoc.main(words) != 0:
        raise RuntimeError(f"protoc refused {SOURCE}")
    for path in target.glob("coordinator_pb2*.py*"):
        text = re.sub(
            r"^import coordinator_pb2( as \w+)?$",
            r"from danube._proto import coordinator_pb2\1",
            path.read_text(),
            flags=re.M,
        )
        path.write_text(text)
    (target / "__init__.py").write_text('"""Generated from proto/danube/v1 by `make proto`; do not edit."""\n')


if __name__ == "__main__":
    generate()
