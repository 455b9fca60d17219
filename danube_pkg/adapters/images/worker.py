"""The process that unpacks an image: it needs CPU and disk for seconds, and reads untrusted archives.

Standard input has a line of JSON for the root file system, one for each downloaded layer, and one for the end; standard
output has an answer to each. If the input ends early, the pull was cancelled.
"""

import ctypes
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from danube_pkg.adapters.images.layers import LayerWriter
from danube_pkg.adapters.images.packed import LayerBroken, LayerStream, pieces_of, unpacked
from danube_pkg.adapters.images.tree import DirectoryTree
from danube_pkg.kit.full_disk import is_full


def main() -> int:
    """Returns 0 when the image is unpacked and synced; otherwise the last answer has the cause."""
    requests = (json.loads(line) for line in sys.stdin.buffer)
    try:
        _unpack(next(requests), requests)
    except LayerBroken as error:
        _answer({"broken": str(error)})
        return 1
    except OSError as error:
        full = is_full(error)
        _answer({"full" if full else "failed": error.strerror or str(error)})
        return 1
    return 0


def _unpack(start: Mapping[str, Any], requests: Iterator[Mapping[str, Any]]) -> None:
    root, left = Path(start["root"]), int(start["image_bytes"])
    with DirectoryTree(root) as tree:
        writer = LayerWriter(tree, keep_owners=start["keep_owners"], files=start["files"])
        for request in requests:
            if "layer" in request:
                used = _layer(request["layer"], writer, min(left, _allowed(request["layer"], start)))
                left -= used
                _answer({"bytes": used})
            else:
                writer.finish()
                _answer({"done": True})
                _sync(tree.descriptor(()))
                _answer({"safe": True})
                return


def _allowed(layer: Mapping[str, Any], start: Mapping[str, Any]) -> int:
    return max(int(start["free_bytes"]), int(layer["size"]) * int(start["ratio"]))


def _layer(layer: Mapping[str, Any], writer: LayerWriter, limit_bytes: int) -> int:
    """Applies one layer; returns the size of its archive."""
    with open(layer["path"], "rb") as file:
        file.seek(layer["offset"])
        stream = LayerStream(unpacked(pieces_of(file, layer["size"])), limit_bytes)
        writer.apply(stream)
        found = stream.finish()
    if found != layer["diff_id"]:
        raise LayerBroken(f"its content has the digest {found}, its configuration has {layer['diff_id']}")
    return stream.size_bytes


def _sync(descriptor: int) -> None:
    """Syncs the file system. The root is in use already: only after a power failure could it have empty files."""
    if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _answer(answer: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
