"""The signing keys by the API and the command line: public halves only, and a rotation."""

from danube_pkg.adapters.keys.signing import read_public_key
from tests.edges.http.api import Api

KEYS = "/.well-known/danube-signing-keys.json"


async def test_every_client_reads_the_public_keys_and_no_private_one(api: Api) -> None:
    answer = await api.anonymous.get(KEYS)
    (key,) = answer.json["keys"]
    assert (answer.status, key["algorithm"], key["retired_at"]) == (200, "ed25519", None)
    assert read_public_key(key["public_key"]).id == key["keyid"]
    secret = (api.path / "keys" / "signing.key").read_text().split("\n")[1]
    assert secret not in answer.body.decode()


async def test_a_rotation_is_listed_and_audited(api: Api) -> None:
    old = (await api.anonymous.get(KEYS)).json["keys"][0]
    new = (await api.local.post("/api/v1/keys/rotate")).json
    keys = (await api.anonymous.get(KEYS)).json["keys"]
    assert [one["keyid"] for one in keys] == [new["keyid"], old["keyid"]]
    assert keys[1]["retired_at"] is not None
    entries = (await api.local.get("/api/v1/audit?action=rotate-signing-key")).json["entries"]
    assert [one["outcome"] for one in entries] == ["done"]
