"""What the server can be ordered to do wrong: refuse, answer late, or cut connections."""

import asyncio
from dataclasses import dataclass, field

from aiohttp import web

from tests.fakes.kubernetes.api_errors import ApiError, conflict, internal, too_many_requests
from tests.fakes.kubernetes.resources import ApiTarget


@dataclass(slots=True)
class Refusal:
    """Answers the next matching requests with a status.

    status: 409, 429, 500, or 0 for a connection that is cut without an answer. verb: an HTTP method, "" for all.
    resource: a plural, with the subresource behind a slash; "" for all. times: how many more requests. after: the
    request is carried out first, and only its answer is lost.
    """

    status: int
    verb: str = ""
    resource: str = ""
    times: int = 1
    retry_seconds: int = 1
    after: bool = False

    def matches(self, verb: str, target: ApiTarget) -> bool:
        name = "/".join(part for part in (target.resource.plural, target.subresource) if part)
        return self.times > 0 and self.verb in ("", verb) and self.resource in ("", name)

    def error(self, target: ApiTarget) -> ApiError:
        if self.status == 409:
            return conflict(target.resource.qualified, target.name)
        if self.status == 429:
            return too_many_requests(self.retry_seconds)
        return internal("etcdserver: request timed out")


@dataclass
class Faults:
    """The faults that are ordered. delay_seconds: before each answer. exec_hangs: programs run, but nothing of their
    output arrives. exec_drops_after: bytes of output after which the connection of an exec is cut; -1 for never."""

    refusals: list[Refusal] = field(default_factory=list)
    delay_seconds: float = 0.0
    exec_hangs: bool = False
    exec_drops_after: int = -1

    def refuse(
        self,
        status: int,
        verb: str = "",
        resource: str = "",
        *,
        times: int = 1,
        retry_seconds: int = 1,
        after: bool = False,
    ) -> Refusal:
        """Order a refusal; its `times` says how many of it are left."""
        made = Refusal(status, verb, resource, times, retry_seconds, after)
        self.refusals.append(made)
        return made

    async def before(self, request: web.Request, target: ApiTarget) -> None:
        """Raises ApiError where the request is refused."""
        await self._act(request, target, after=False)

    async def after(self, request: web.Request, target: ApiTarget) -> None:
        """Raises ApiError where the answer is lost."""
        await self._act(request, target, after=True)

    async def _act(self, request: web.Request, target: ApiTarget, *, after: bool) -> None:
        if self.delay_seconds and not after:
            await asyncio.sleep(self.delay_seconds)
        for one in self.refusals:
            if one.after == after and one.matches(request.method, target):
                one.times -= 1
                if one.status == 0 and request.transport is not None:
                    request.transport.abort()
                raise one.error(target)
