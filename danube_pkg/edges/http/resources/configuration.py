"""The configuration: its state, reading its repository now, and planning a change."""

from collections.abc import Mapping
from typing import Annotated

from danube_pkg.core.configuration.status import ConfigurationStatus
from danube_pkg.core.documents.marked import rule
from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.views.configuration import ConfigurationView, PlanView, configuration_view, plan_view
from danube_pkg.kit.records import Record

PLAN_BYTES = 16 * 1024**2
"""Room for thousands of pipelines."""


class PlanFiles(Record):
    """A configuration that is not pushed yet."""

    files: Annotated[Mapping[str, str], rule("The text of each file by its name: pipelines/app.yaml.", most=10_000)]


class ConfigurationResource(Resource):
    """What the two resources that answer with the state share."""

    async def view(self, status: ConfigurationStatus) -> ConfigurationView:
        """The state, with the current conditions."""
        repository = self.services.configuration.sync.repository
        return configuration_view(
            status,
            self.services.configuration.applied,
            await self.services.health.conditions.conditions(),
            repository_url=repository.url,
            branch=repository.branch,
            deploy_key=self.services.configuration.deploy_key,
        )


class ConfigurationState(ConfigurationResource):
    """`/api/v1/config`."""

    async def GET(self, request: Request) -> ConfigurationView:
        """The state of the configuration."""
        return await self.view(self.services.configuration.sync.status)


class SyncConfiguration(ConfigurationResource):
    """`/api/v1/config/sync`."""

    async def POST(self, request: Request) -> ConfigurationView:
        """Read the configuration repository now, and apply it if it has no mistakes; else they are in the answer."""
        return await self.view(await self.services.configuration.sync.sync())


class PlanConfiguration(Resource):
    """`/api/v1/config/plan`."""

    @answers(200, body_bytes=PLAN_BYTES)
    async def POST(self, request: Request, body: PlanFiles) -> PlanView:
        """What these files would change if they were pushed."""
        files = {name: text.encode() for name, text in body.files.items()}
        return plan_view(await self.services.configuration.sync.plan(files))
