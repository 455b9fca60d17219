"""How many arenas the C library has made for this process."""

import ctypes
import tempfile
import threading
from pathlib import Path

THREADS = 8
"""Each gets an arena of its own, unless their number is bounded: glibc makes eight for each processor."""


def arenas_of_threads() -> int:
    """The arenas after THREADS threads have allocated memory at the same time."""
    allocated, end = threading.Barrier(THREADS + 1), threading.Event()

    def allocate() -> None:
        kept = [bytes(5000 + number) for number in range(100)]
        allocated.wait()
        end.wait()
        kept.clear()

    threads = [threading.Thread(target=allocate, name=f"allocate {number}") for number in range(THREADS)]
    for thread in threads:
        thread.start()
    allocated.wait()
    try:
        return _arenas()
    finally:
        end.set()
        for thread in threads:
            thread.join()


def _arenas() -> int:
    """By malloc_info(3), which writes an element for each."""
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    with tempfile.NamedTemporaryFile() as target:
        stream = ctypes.c_void_p(libc.fopen(target.name.encode(), b"w"))
        libc.malloc_info(0, stream)
        libc.fclose(stream)
        return Path(target.name).read_text().count("<heap nr=")
