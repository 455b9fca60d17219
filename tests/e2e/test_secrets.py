"""Secrets in whole jobs: masked in every form in all output, and stored nowhere in clear."""

import base64
import json
from urllib.parse import quote

from tests.support.server import Installation

KEY = "-----BEGIN KEY-----\nQ2xlYXIgdGV4dCBvZiBhIGtleQ\nd2l0aCBzZXZlcmFsIGxpbmVz\n-----END KEY-----\n"
TOKEN = 'tok "en/with+sp ace=s&é'
LONG = "overlapping-secret"
LONGER = "secret-of-another-kind"

PRINTS = """
import base64, json, sys, time
from danube import pipeline, secrets, step
from urllib.parse import quote

@pipeline(name="prints")
def build():
    key, token = secrets.get("KEY"), secrets.get("TOKEN")
    env = {"KEY": key, "TOKEN": token, "LONG": secrets.get("LONG"), "LONGER": secrets.get("LONGER")}
    step.run('printf "%s" "$KEY"', name="multi-line", env=env)
    step.run('printf "<%s" "${TOKEN%?????????}"; sleep 0.2; printf "%s>\\n" "${TOKEN#??????????????}"', name="in two writes", env=env)
    step.run('printf "<overlapping-%s>\\n" "$LONGER"', name="overlapping", env=env)
    step.run('printf "<xx%s>" "$TOKEN" | base64 -w0; printf "%s" "$TOKEN" | od -An -tx1 | tr -d " \\n"; echo', name="forms", env=env)
    print("from the danubefile:", token, quote(token, safe=""), json.dumps(token), base64.b64encode(token.encode()).decode())
    print("on standard error:", key, file=sys.stderr)
    step.run("true", name=f"named after {token}")
    step.run('test "$(printf "%s" "$TOKEN" | wc -c)" -eq 24', name="whole where it belongs", env=env)
    raise RuntimeError(f"the last words: {token}")
"""


def test_every_form_is_masked_and_none_is_stored(shared: Installation) -> None:
    shared.pipeline("prints", PRINTS)
    shared.sync()
    values = {"KEY": KEY, "TOKEN": TOKEN, "LONG": LONG, "LONGER": LONGER}
    for name, value in values.items():
        shared.command("secrets", "set", name, stdin=value)
    job = shared.end_of(shared.trigger("prints"))
    assert (job["status"], job["reason"]) == ("failure", "script-error"), job
    assert job["message"].startswith("RuntimeError: the last words: ***")
    log = shared.log(job["id"])
    assert "<***>" in log
    assert "<***\n" not in log.replace("<***>\n", "")
    assert [step["status"] for step in job["steps"]] == ["success"] * 6
    assert job["steps"][4]["name"] == "named after ***"
    clear = TOKEN.encode()
    forms = {
        clear,
        quote(TOKEN, safe="").encode(),
        json.dumps(TOKEN)[1:-1].encode(),
        base64.b64encode(clear).rstrip(b"="),
        clear.hex().encode(),
        base64.b64encode(b"<xx" + clear)[4:-4],
        *(line.encode() for line in KEY.splitlines() if "KEY" not in line),
        LONGER.encode(),
    }
    for form in forms:
        assert shared.files_with(form) == [], form
    assert not any(form in shared.server_log.read_bytes() for form in forms)


def test_a_value_that_cannot_be_masked_is_refused_with_the_reason(shared: Installation) -> None:
    shared.sync()
    refused = shared.command("secrets", "set", "PIN", stdin="123\n", check=False)
    assert refused.returncode == 2
    assert "fewer than 4 characters" in refused.stderr
    assert "cannot be masked" in refused.stderr
    assert "hint:" in refused.stderr
    assert "123" not in refused.stderr
    too_large = shared.command("secrets", "set", "BLOB", stdin="x" * 70_000, check=False)
    assert "65536" in too_large.stderr
    kept = {one["key"] for one in json.loads(shared.command("secrets", "list", "--json").stdout)}
    assert not kept & {"PIN", "BLOB"}


def test_a_pipelines_own_value_takes_precedence_and_a_missing_one_has_a_hint(danube: Installation) -> None:
    danube.pipeline(
        "reads",
        """
        from danube import pipeline, secrets, step

        @pipeline(name="reads")
        def build():
            step.run('test "$WHO" = pipeline-value', env={"WHO": secrets.get("WHO")})
            assert secrets.get("UNSET", default="a default") == "a default"
            secrets.get("MISSING")
        """,
    )
    danube.serve()
    danube.command("secrets", "set", "WHO", "--pipeline", "reads", stdin="pipeline-value\n")
    danube.command("secrets", "set", "WHO", stdin="global-value\n")
    job = danube.end_of(danube.trigger("reads"))
    assert job["reason"] == "script-error"
    assert "there is no secret 'MISSING'" in job["message"]
    assert "danube secrets set MISSING --pipeline reads" in job["message"]
    assert job["steps"][0]["status"] == "success"
    listed = json.loads(danube.command("secrets", "list", "--pipeline", "reads", "--json").stdout)
    assert [one["key"] for one in listed] == ["WHO"]
    danube.command("secrets", "remove", "WHO")
    assert json.loads(danube.command("secrets", "list", "--json").stdout) == []


def test_a_rotated_value_stays_masked_for_the_job_that_read_it(danube: Installation) -> None:
    danube.pipeline(
        "old",
        """
        from danube import pipeline, secrets, step

        @pipeline(name="old")
        def build():
            step.run('echo ready; until [ -e go ]; do sleep 0.05; done; echo "old: $T"', env={"T": secrets.get("T")}, name="waits")
            """
        + "\n",
    )
    danube.serve()
    danube.command("secrets", "set", "T", stdin="the-old-value-of-it")
    job_id = danube.trigger("old")
    danube.wait_for_log(job_id, "ready")
    danube.command("secrets", "set", "T", stdin="the-new-value-of-it")
    danube.kill()
    danube.serve()
    (danube.workspace(job_id) / "go").touch()
    job = danube.end_of(job_id)
    assert job["status"] == "success"
    assert "old: ***" in danube.log(job_id)
    assert danube.files_with(b"the-old-value-of-it") == []
