"""`ctx`: the job's commit, trigger and names."""

from collections.abc import Mapping
from typing import Any

from danube._session import current, inherited
from danube._texts import check_texts


class Context:
    """The context of the running job, read-only. Every attribute raises DanubeError outside a job."""

    def _get(self, name: str) -> Any:
        return inherited().context[name]

    @property
    def branch(self) -> str:
        """The branch's short name (`main`); empty for a tag, a pull request or a commit without a branch."""
        return str(self._get("branch"))

    @property
    def tag(self) -> str:
        """The tag's short name (`v1`); empty unless a tag triggered the job."""
        return str(self._get("tag"))

    @property
    def ref(self) -> str:
        """The ref that the trigger named: `refs/heads/main`, `refs/tags/v1`, or what a user typed."""
        return str(self._get("ref"))

    @property
    def commit_sha(self) -> str:
        """The commit's full hash; empty where the source is a directory that is not a Git repository."""
        return str(self._get("commit_sha"))

    @property
    def repository(self) -> str:
        """The repository's URL as the pipeline names it."""
        return str(self._get("repository"))

    @property
    def pipeline(self) -> str:
        """The pipeline's name."""
        return str(self._get("pipeline"))

    @property
    def job_id(self) -> str:
        """This job's id; ids sort by time."""
        return str(self._get("job_id"))

    @property
    def job_url(self) -> str:
        """The URL of this job's page; empty where the server does not know its own URL."""
        return str(self._get("job_url"))

    @property
    def trigger(self) -> str:
        """`manual`, `webhook`, `cron`, or `pipeline` where the end of another job started this one."""
        return str(self._get("trigger"))

    @property
    def upstream_job_id(self) -> str:
        """The id of the job whose end started this one (`on: pipeline`); empty for any other trigger."""
        return str(self._get("upstream_job_id"))

    @property
    def params(self) -> Mapping[str, str]:
        """The parameters of a manual trigger."""
        params: Mapping[str, str] = self._get("params")
        return params

    @property
    def pull_request(self) -> Mapping[str, Any] | None:
        """The pull request's number, branches and whether it comes from a fork; None for any other trigger."""
        pull_request: Mapping[str, Any] | None = self._get("pull_request")
        return pull_request

    def id_token(self, audience: str) -> str:
        """A signed OpenID Connect token that says which job this is, for a cloud, a registry or Vault that trusts the
        server: no stored secret is needed.

        audience: whom it is for; the receiver checks it. It is valid for ten minutes, and masked in the log. Pass it
        to a step through `env=`. Raises DanubeError for the code of an untrusted proposal, and where the server has
        no https URL.
        """
        session = current()
        check_texts("audience-invalid", {"the audience": audience})
        return session.id_token(session.next_sequence("id-token"), audience)


ctx = Context()
