"""Publishes commit statuses on a repository's forge, with the credential of the rule that matches the repository."""

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.errors import NotFound, Permanent
from danube_pkg.core.repositories.forges import CommitStatus, Forge, forge_project, status_request
from danube_pkg.core.repositories.git_authentication import SshKey
from danube_pkg.core.repositories.ports import ForgeApi
from danube_pkg.services.repositories.credentials import ConfiguredCredentials

ALREADY_SET = "Cannot transition status"
"""GitLab's answer to a state that a status already has: an earlier delivery arrived, and its response was lost."""


class CommitStatusReporter:
    """`core.repositories.ports.CommitStatuses` by the rules of the applied configuration."""

    def __init__(self, applied: AppliedConfiguration, credentials: ConfiguredCredentials, forges: ForgeApi) -> None:
        self._applied = applied
        self._credentials = credentials
        self._forges = forges

    async def publish(self, repository: str, commit_sha: str, status: CommitStatus) -> None:
        project = forge_project(repository, self._applied.config.git_authentication)
        if project is None or isinstance(project.rule, SshKey):
            raise NotFound(
                "forge-unknown",
                f"no forge is known for {repository}",
                hint="add a rule to git_authentication: github_app, gitlab_token, or https_token with forge",
            )
        token = await self._credentials.api_token(project.rule)
        try:
            await self._forges.post(status_request(project, commit_sha, status, token))
        except Permanent as error:
            if not (project.forge is Forge.GITLAB and ALREADY_SET in error.cause):
                raise
