"""When and how a running job's files are sealed."""

from hashlib import sha256

from danube_pkg.services.jobs import sealing
from danube_pkg.services.jobs.sealing import GrowingDigest, pause_at


async def test_a_growing_file_is_read_once() -> None:
    content, read = b"0123456789" * 1000, 0

    async def part(begin: int, end: int) -> bytes:
        nonlocal read
        read += end - begin
        return content[begin:end]

    growing = GrowingDigest(part)
    for size in (0, 7, 7, 5000, 10_000):
        found = await growing.up_to(size)
        assert (found.size_bytes, found.sha256) == (size, sha256(content[:size]).hexdigest())
    assert read == len(content)
    assert (await growing.up_to(20_000)).size_bytes == len(content)


def test_a_job_of_a_day_is_sealed_some_hundreds_of_times() -> None:
    age, seals = 0.0, 0
    while age < 24 * 3600:
        age += pause_at(age)
        seals += 1
    assert 300 < seals < 500
    assert pause_at(0) == sealing.SHORTEST_SECONDS
