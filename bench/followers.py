"""Many followers of one job as one process: `python -m bench.followers SOCKET JOB COUNT`; prints how many bytes each
got, and when all had them."""

import asyncio
import json
import sys
import time


async def follow(socket_path: str, job: str) -> int:
    """Follow to the end; returns the bytes of the log, by the id of the last event."""
    reader, writer = await asyncio.open_unix_connection(socket_path, limit=2**21)
    writer.write(f"GET /api/v1/jobs/{job}/events HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
    last = 0
    while line := await reader.readline():
        if line.startswith(b"id: "):
            last = int(line[4:])
        elif line.startswith(b"event: end"):
            break
    writer.close()
    return last


async def main(socket_path: str, job: str, count: int) -> None:
    """Follow with all connections at once and print the result."""
    counts = await asyncio.gather(*(follow(socket_path, job) for _ in range(count)))
    print(json.dumps({"bytes": counts, "at": time.time()}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
