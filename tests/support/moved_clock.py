"""A clock that stands still until a test moves it."""

import asyncio


class MovedClock:
    """`kit.clock.Clock`. Sleepers wake when `move` has passed their times, in the order of these."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._now + seconds, future))
        await future

    @property
    def next_wake(self) -> float | None:
        """The time of the first sleeper."""
        return min((at for at, future in self._sleepers if not future.done()), default=None)

    @property
    def sleepers(self) -> int:
        """How many tasks wait."""
        return sum(not future.done() for _, future in self._sleepers)

    def move(self, seconds: float) -> None:
        """Advance the time."""
        self.move_to(self._now + seconds)

    def move_to(self, now: float) -> None:
        self._now = now
        due = sorted((one for one in self._sleepers if one[0] <= now), key=lambda one: one[0])
        self._sleepers = [one for one in self._sleepers if one[0] > now]
        for _, future in due:
            if not future.done():
                future.set_result(None)
