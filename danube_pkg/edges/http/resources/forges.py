"""The forges of the pipelines' repositories."""

from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource
from danube_pkg.edges.http.views.forges import ForgeCheckView, forge_check_view


class ForgeCheck(Resource):
    """`/api/v1/forges/check`."""

    async def GET(self, request: Request) -> ForgeCheckView:
        """Check at the forges whether each repository can be read, whether its webhooks arrive, and whether commit
        statuses can be set. It changes nothing."""
        return forge_check_view(await self.services.triggers.forge_checks.check())
