"""Caches of pipelines: list and remove them. Their files are for jobs alone."""

from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource
from danube_pkg.edges.http.views.caches import CacheList, CachesRemoved, cache_list, caches_removed


class PipelineCaches(Resource):
    """`/api/v1/pipelines/{pipeline}/caches`."""

    async def GET(self, request: Request) -> CacheList:
        """The caches of a pipeline, with their hits and sizes."""
        limit_bytes = self.services.configuration.applied.config.cache_bounds.pipeline_bytes
        return cache_list(await self.services.storage.caches.list(request.pipeline.name), limit_bytes)

    async def DELETE(self, request: Request) -> CachesRemoved:
        """Remove all caches of a pipeline: its next jobs start without any."""
        return caches_removed(await self.services.storage.caches.remove(request.pipeline.name))


class OneCache(Resource):
    """`/api/v1/pipelines/{pipeline}/caches/{cache}`."""

    async def DELETE(self, request: Request) -> CachesRemoved:
        """Remove one cache."""
        return caches_removed(
            await self.services.storage.caches.remove(request.pipeline.name, request.arguments["cache"])
        )
