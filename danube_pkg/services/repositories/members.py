"""Asks a repository's forge whether a user may write to it, for `trust: members`."""

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.errors import PlatformError
from danube_pkg.core.repositories.forges import forge_project
from danube_pkg.core.repositories.git_authentication import SshKey
from danube_pkg.core.repositories.members import may_write, member_request
from danube_pkg.core.repositories.ports import ForgeApi
from danube_pkg.services.repositories.credentials import ConfiguredCredentials

METADATA = {"metadata": "read"}
"""What a GitHub App's token needs to read permissions of collaborators."""

NOT_KNOWN = "the forge does not say who pushed this commit; it does for commits that are added to a request"


class ForgeMembers:
    """`core.repositories.ports.Members` by the rules of the applied configuration. Nothing is cached: a user may have
    lost the right since."""

    def __init__(self, applied: AppliedConfiguration, credentials: ConfiguredCredentials, forges: ForgeApi) -> None:
        self._applied = applied
        self._credentials = credentials
        self._forges = forges

    async def why_not_member(self, repository: str, login: str, user_id: int) -> str:
        if not login:
            return NOT_KNOWN
        project = forge_project(repository, self._applied.config.git_authentication)
        if project is None or isinstance(project.rule, SshKey):
            return "no rule of git_authentication has an API of the repository's forge, which could be asked"
        try:
            token = await self._credentials.api_token(project.rule, METADATA)
            answer = await self._forges.call(member_request(project, login, user_id, token))
        except PlatformError as error:
            return f"the forge could not be asked whether {login} may write to the repository: {error}"
        if may_write(project.forge, answer, login, user_id):
            return ""
        return f"{login} may not write to the repository"
