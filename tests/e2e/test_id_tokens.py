"""A danubefile's identity token, from the SDK through the coordinator to the server, read by an independent library."""

import json

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.support.server import Installation

ISSUER = "https://ci.example.org"
WHO = """
from pathlib import Path
from danube import artifacts, ctx, pipeline, step

@pipeline(name="who")
def build():
    token = ctx.id_token(audience="vault")
    step.run("echo the token is $TOKEN", env={"TOKEN": token})
    Path("token").write_text(token)
    artifacts.upload("token", name="token")
"""


@pytest.mark.slow("starts a server, with a whole job between")
def test_a_job_proves_who_it_is(danube: Installation) -> None:
    danube.pipeline("who", WHO)
    settings = danube.path / "danube.toml"
    settings.write_text(settings.read_text().replace("[server]\n", f'[server]\nexternal_url = "{ISSUER}"\n'))
    danube.serve()
    job_id = danube.trigger("who")
    assert danube.end_of(job_id)["status"] == "success", danube.log(job_id)
    token = danube.command("artifacts", "download", job_id, "token", "--output", "-").stdout
    discovered = danube.client.get("/.well-known/openid-configuration")
    assert discovered["issuer"] == ISSUER
    keys = danube.client.get(discovered["jwks_uri"].removeprefix(ISSUER))
    claims = jwt.decode(token, KeySet.import_key_set(keys), algorithms=["RS256"]).claims
    jwt.JWTClaimsRegistry(aud={"essential": True, "value": "vault"}, iss={"value": ISSUER}).validate(claims)
    assert (claims["job"], claims["pipeline"], claims["trigger"]) == (job_id, "who", "manual")
    assert "the token is ***" in danube.log(job_id)
    assert token not in json.dumps(danube.log(job_id))
