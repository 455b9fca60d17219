"""The claims of identity tokens, and who gets none."""

import pytest

from danube_pkg.core.errors import Invalid, Permanent
from danube_pkg.core.jobs.id_tokens import check_audience, check_issuer, check_trusted, claims_of, subject_of
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.pipelines import PipelineSettings
from danube_pkg.core.repositories.revisions import Revision

NOW = 1_800_000_000.5
ISSUER = "https://ci.example.org"


def a_job(trigger: Trigger, **changes: object) -> Job:
    settings = PipelineSettings("https://user:password@git.example.org/app")
    return Job("01j", "p1", "app", trigger, settings, created_at=NOW, **changes)  # type: ignore[arg-type]


def test_the_claims_say_which_job_it_is() -> None:
    job = a_job(Trigger("webhook", "ada", Revision("c" * 40, "refs/tags/v1", tag="v1")), deadline_at=NOW + 9999)
    assert claims_of(job, ISSUER, "vault", "t1", NOW) == {
        "iss": ISSUER,
        "sub": "pipeline:app:ref:refs/tags/v1",
        "aud": "vault",
        "iat": 1_800_000_000,
        "nbf": 1_800_000_000,
        "exp": 1_800_000_600,
        "jti": "t1",
        "pipeline": "app",
        "repository": "https://git.example.org/app",
        "ref": "refs/tags/v1",
        "sha": "c" * 40,
        "trigger": "webhook",
        "job": "01j",
    }


def test_a_token_does_not_outlive_its_job() -> None:
    job = a_job(Trigger("manual", "ada"), deadline_at=NOW + 60)
    assert claims_of(job, ISSUER, "vault", "t1", NOW)["exp"] == 1_800_000_060


def test_a_pull_request_cannot_have_the_subject_of_a_branch() -> None:
    branch = Revision("c" * 40, "refs/heads/main", "main")
    trusted = a_job(Trigger("webhook", "ada", branch, pull_request={"number": 1, "trusted": True}))
    check_trusted(trusted)
    assert subject_of(trusted) == "pipeline:app:pull_request"


@pytest.mark.parametrize("approved_by", ["", "ada"])
@pytest.mark.parametrize("proposal", [{"number": 1}, {"number": 1, "trusted": False}, {"fork": True, "trusted": "yes"}])
def test_untrusted_code_gets_none_though_it_was_approved(proposal: dict[str, object], approved_by: str) -> None:
    with pytest.raises(Permanent) as refusal:
        check_trusted(a_job(Trigger("webhook", "mallory", pull_request=proposal, approved_by=approved_by)))
    assert refusal.value.reference == "id-token-untrusted"


@pytest.mark.parametrize("url", ["", "http://ci.example.org"])
def test_a_server_without_an_https_url_issues_none(url: str) -> None:
    with pytest.raises(Permanent, match="cannot issue") as refusal:
        check_issuer(url)
    assert "external_url" in refusal.value.hint
    assert check_issuer("https://ci.example.org/") == ISSUER


@pytest.mark.parametrize("audience", ["", "a b", "a\nb", "ü", "x" * 201])
def test_an_audience_is_plain_text(audience: str) -> None:
    with pytest.raises(Invalid):
        check_audience(audience)
    assert check_audience("https://vault.example.org") == "https://vault.example.org"
