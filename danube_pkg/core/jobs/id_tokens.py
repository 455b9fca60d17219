"""Identity tokens: what a job states about itself to a cloud, a registry or Vault, which trust this server for it.

The claims are those of an OpenID Connect ID token (OpenID Connect Core 1.0, section 2) with the job's own beside them.
"""

import re
from typing import Any

from danube_pkg.core.errors import Invalid, Permanent
from danube_pkg.core.jobs.environment_approvals import granted_environments
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.repositories.urls import without_login

LIFETIME_SECONDS = 600
"""Long enough to exchange it for a credential; short, since it cannot be revoked."""

DISCOVERY_PATH = "/.well-known/openid-configuration"
KEYS_PATH = "/.well-known/danube-identity-keys.json"

_AUDIENCE = re.compile(r"[\x21-\x7e]{1,200}")


def check_audience(audience: str) -> str:
    """The audience if it is one. Raises Invalid."""
    if not _AUDIENCE.fullmatch(audience):
        raise Invalid(
            "audience-invalid",
            f"{audience[:200]!r} is not an audience",
            cause="an audience is 1 to 200 printable ASCII characters without spaces",
            hint='ctx.id_token(audience="https://vault.example.org")',
        )
    return audience


def check_issuer(external_url: str) -> str:
    """The issuer of a server, which is the URL that clients reach it by. Raises Permanent where it has none."""
    if not external_url.startswith("https://"):
        raise Permanent(
            "id-token-no-issuer",
            "this server cannot issue identity tokens",
            cause="receivers read its keys by https, and its URL is not configured as such",
            hint='in danube.toml: [server] external_url = "https://ci.example.org"',
        )
    return external_url.rstrip("/")


def check_trusted(job: Job) -> None:
    """Raises Permanent for untrusted code, also where it was approved: an approval lets it run, not act as the
    pipeline."""
    if job.trigger.is_untrusted:
        raise Permanent(
            "id-token-untrusted",
            f"{job.label} gets no identity token",
            cause="its code is a proposal's, of authors who may not push to the repository",
            hint="request the token in a job of a branch or tag: if ctx.pull_request is None",
        )


def check_no_rebuild(job: Job) -> None:
    """Raises Permanent for a rebuild: with a token it could act as the pipeline, and publish what it builds."""
    if job.trigger.rebuild is not None:
        raise Permanent(
            "id-token-of-rebuild",
            f"{job.label} gets no identity token",
            cause="it is a rebuild, which only compares what it builds",
            hint="rebuild what a job builds before it publishes: a pipeline of its own",
        )


def subject_of(job: Job) -> str:
    """Pipeline and ref, or that it is a pull request: what a receiver's rule names. Behind the ref the environment that
    was approved last: no ref has a colon (git-check-ref-format(1)), so that none looks like one with an environment."""
    if job.trigger.pull_request is not None:
        return f"pipeline:{job.pipeline}:pull_request"
    environments = granted_environments(job.approvals)
    suffix = f":environment:{environments[-1]}" if environments else ""
    return f"pipeline:{job.pipeline}:ref:{job.trigger.revision.ref}{suffix}"


def claims_of(job: Job, issuer: str, audience: str, token_id: str, now: float) -> dict[str, Any]:
    """The claims. now: Unix seconds. A token does not outlive its job's deadline."""
    revision = job.trigger.revision
    ends_at = min(now + LIFETIME_SECONDS, job.deadline_at or now + LIFETIME_SECONDS)
    environments = granted_environments(job.approvals)
    return {
        "iss": issuer,
        "sub": subject_of(job),
        "aud": audience,
        "iat": int(now),
        "nbf": int(now),
        "exp": int(ends_at),
        "jti": token_id,
        "pipeline": job.pipeline,
        "repository": without_login(job.settings.repository),
        "ref": revision.ref,
        "sha": revision.commit_sha,
        "trigger": job.trigger.type,
        "job": job.id,
        **({"environment": environments[-1]} if environments else {}),
    }


def discovery_document(issuer: str) -> dict[str, Any]:
    """The document at DISCOVERY_PATH (OpenID Connect Discovery 1.0, section 3). No user logs in here."""
    return {
        "issuer": issuer,
        "jwks_uri": f"{issuer}{KEYS_PATH}",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claims_supported": [
            *("iss", "sub", "aud", "iat", "nbf", "exp", "jti"),
            *("pipeline", "repository", "ref", "sha", "trigger", "job", "environment"),
        ],
    }
