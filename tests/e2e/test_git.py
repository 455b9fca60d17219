"""Jobs from private repositories, and a configuration as the command line shows it."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from danube_pkg.core.errors import NotFound
from tests.support.git_servers import (
    HttpServer,
    ServedRepository,
    SshServer,
    command_lines,
    make_key,
)
from tests.support.github_app import GithubApi
from tests.support.server import Installation
from tests.support.waiting import wait_until

TOKENS = {"lab-token": "glpat-lab-8Hq2Zx", "forge-token": "forge-pw-77aa1c"}
SEARCHES = '''
import os, sys
from danube import pipeline, secrets, step

# Reversed, so that this pod does not contain the values themselves.
NEEDLES = {needles!r}

LOOK = """
import os, sys
needles = [one[::-1].encode() for one in sys.stdin.read().split()]
def holds(path):
    try:
        with open(path, "rb") as file:
            data = file.read(4 * 1024**2)
            return any(needle in data for needle in needles)
    except OSError:
        return False
found = []
for top in ("/workspace", "/tmp", "/etc", "/var", "/run", "/home", "/root"):
    for root, directories, names in os.walk(top):
        directories[:] = [one for one in directories if os.path.join(root, one) != sys.base_prefix]
        paths = [os.path.join(root, name) for name in names]
        found += [path for path in paths if os.path.isfile(path) and holds(path)]
for process in os.listdir("/proc"):
    if process.isdecimal():
        found += [f"/proc/{{process}}/{{name}}" for name in ("environ", "cmdline") if holds(f"/proc/{{process}}/{{name}}")]
print("found:", found)
"""

@pipeline(name="search")
def build():
    step.run("git log --format=%s | cat; git remote -v | cat; test -z \\"$(git status --porcelain)\\"", name="Clean")
    step.run("printf '%s' \\"$NEEDLES\\" | python3 -c \\"$LOOK\\"", name="Look", env={{"LOOK": LOOK, "NEEDLES": " ".join(NEEDLES)}})
    own = [name for name, value in os.environ.items() if any(one[::-1] in value for one in NEEDLES)]
    print("of the coordinator:", own)
    try:
        secrets.get("lab-token")
    except Exception as error:
        print("refused:", error)
'''


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[SshServer]:
    with SshServer(tmp_path / "ssh") as server:
        yield server


@pytest.mark.long
def test_a_private_repository_is_built_with_each_kind_of_credential(danube: Installation, ssh: SshServer) -> None:
    served = danube.path / "served"
    key_file, key_secret = make_key(danube.path / "key_file"), make_key(danube.path / "key_secret")
    for key in (key_file, key_secret):
        ssh.authorize(key.with_suffix(".pub").read_text())
    private_halves = [key.read_text().splitlines()[2] for key in (key_file, key_secret)]
    with GithubApi("4711") as api, HttpServer(served) as http:
        api_token, status_token = "ghs_installation0OfThisApp", "ghs_installation1OfThisApp"
        known = {api_token: "x-access-token", TOKENS["lab-token"]: "oauth2", TOKENS["forge-token"]: "builder"}
        http.allows = lambda user, password: known.get(password) == user
        needles = [api_token, status_token, *TOKENS.values(), *private_halves, api.private_key.splitlines()[3]]
        text = SEARCHES.format(needles=[one[::-1] for one in needles])
        repositories = {}
        for name in ("app", "lab", "forge", "file", "secret", "deploy"):
            repositories[name] = ServedRepository(served / name / "code.git")
            repositories[name].commit({"danubefile.py": text}, f"the code of {name}")
        host = f"127.0.0.1:{http.port}"
        urls = {name: (http if name in ("app", "lab", "forge") else ssh).url(one) for name, one in repositories.items()}
        configure(danube, api.url, f"http://{host}", ssh, host, served, key_file)
        for name, url in urls.items():
            danube.pipeline(name, None, repository=url, max_duration_seconds=60)
        (danube.data / "keys").mkdir(parents=True, mode=0o700)
        (danube.data / "keys" / "known_hosts").write_bytes(ssh.known_hosts.read_bytes())
        danube.serve()
        ssh.authorize((danube.data / "keys" / "git_deploy_key.pub").read_text())
        values = {**TOKENS, "app-key": api.private_key, "ssh-secret": key_secret.read_text()}
        for name, value in values.items():
            danube.command("secrets", "set", name, stdin=value)

        seen: list[bytes] = []
        with ProcessWatch(seen):
            ids = {name: danube.trigger(name) for name in urls}
            ended = {name: danube.end_of(job_id, 120) for name, job_id in ids.items()}
        for name, job in ended.items():
            log = danube.log(job["id"])
            assert job["status"] == "success", (name, job, log)
            assert f"the code of {name}" in log
            assert "found: []" in log
            assert "of the coordinator: []" in log
            assert "refused: the secret 'lab-token' is reserved for the server" in log
            rule = "deploy key" if name == "deploy" else f"the-{name}"
            assert f"read with: {rule}\n" in log
            shown = danube.client.get(f"/api/v1/jobs/{job['id']}")
            assert shown["source_rule"] == rule
            assert shown["trigger"]["commit_message"] == f"the code of {name}"
            pages = {"app": f"http://{host}/app/code/commit/", "lab": f"http://{host}/lab/code/-/commit/"}
            assert shown["commit_url"] == (pages[name] + shown["trigger"]["commit_sha"] if name in pages else "")
        # One token for reading and one for statuses, each issued once: the first must not be able to write.
        wait_until(lambda: api.statuses, 30, "a status at the forge")
        assert api.asked == [{"permissions": {"contents": "read"}}, {"permissions": {"statuses": "write"}}]
        assert api.tokens == [api_token, status_token]
        assert {authorization for _, authorization, _ in api.statuses} == {f"Bearer {status_token}"}

        for needle in (one.encode() for one in needles):
            # The private key that is a file of the server lies outside of the data directory.
            assert danube.files_with(needle) == []
            assert needle not in danube.server_log.read_bytes()
            assert not [text for text in seen if needle in text]
        assert any(b"danube_pkg.adapters.git.worker" in text for text in seen)


class ProcessWatch:
    """Records the arguments and environment of every process while the block lasts."""

    def __init__(self, seen: list[bytes]) -> None:
        self._seen = seen
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch processes")

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            self._seen += [text for _, text in command_lines() if b"danube" in text or b"ssh" in text or b"git" in text]

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()


def configure(
    danube: Installation, api: str, lab: str, ssh: SshServer, host: str, served: Path, key_file: Path
) -> None:
    """Configure one rule of each kind; the repository of the deploy key has none."""
    rules = [
        {
            "type": "github_app",
            "name": "the-app",
            "app_id": "4711",
            "installation_id": "1",
            "private_key_secret": "app-key",
        },
        {"type": "gitlab_token", "name": "the-lab", "url": lab, "token_secret": "lab-token"},
        {"type": "https_token", "name": "the-forge", "username": "builder", "token_secret": "forge-token"},
        {"type": "ssh_key", "name": "the-file", "private_key_path": str(key_file)},
        {"type": "ssh_key", "name": "the-secret", "private_key_secret": "ssh-secret"},
    ]
    rules[0]["api_url"] = api
    for rule in rules:
        name = rule["name"].removeprefix("the-")
        where = f"127.0.0.1:{ssh.port}{served}" if rule["type"] == "ssh_key" else host
        rule["match_patterns"] = [f"{where}/{name}/*"]  # type: ignore[assignment]
    document = {
        "apiVersion": "danube.dev/v1",
        "kind": "Config",
        "metadata": {"name": "global"},
        "spec": {"git_authentication": rules},
    }
    (danube.config / "config.yaml").write_text(json.dumps(document))


def test_the_command_line_shows_and_syncs_the_configuration(danube: Installation) -> None:
    danube.pipeline("app", 'from danube import pipeline\n@pipeline(name="App")\ndef build(): print("built")\n')
    danube.serve()
    status = json.loads(danube.command("config", "status", "--json").stdout)
    assert (status["ok"], status["findings"], status["problem"]) == (True, [], None)
    assert danube.command("keys").stdout.splitlines()[1].startswith("ssh-ed25519 ")
    assert (danube.data / "keys" / "git_deploy_key").stat().st_mode & 0o777 == 0o600
    assert "deploy-key-made" in danube.server_log.read_text()
    job = danube.end_of(danube.trigger("app"))
    assert job["status"] == "success"

    definition = danube.client.get("/api/v1/pipelines/app/definition")
    assert (definition["place"], definition["outline"]["name"]) == ("pipelines/app.yaml:1", "App")

    app = danube.config / "pipelines" / "app.yaml"
    good = app.read_text()
    app.write_text(good.replace('"kind": "Pipeline"', '"kind": "Pipelin"'))
    refused = danube.command("config", "sync", check=False)
    assert refused.returncode == 1
    assert "pipelines/app.yaml:1: unknown kind 'Pipelin'\n  hint: did you mean 'Pipeline'?" in refused.stdout
    assert [one["name"] for one in json.loads(danube.command("pipelines", "--json").stdout)] == ["app"]
    validated = danube.command("validate", str(danube.config), check=False)
    assert validated.returncode == 1
    assert "pipelines/app.yaml:1: unknown kind 'Pipelin'" in validated.stdout

    app.unlink()
    (danube.config / "teams.yaml").write_text(
        "apiVersion: danube.dev/v1\nkind: Team\nmetadata: {name: core}\nspec: {members: [a@example.com], global_admin: true}\n"
    )
    plan = danube.command("validate", str(danube.config), "--plan").stdout
    assert "remove pipeline app" in plan
    assert "a@example.com gains access to everything: nothing → admin" in plan
    assert [one["name"] for one in json.loads(danube.command("pipelines", "--json").stdout)] == ["app"]

    danube.command("config", "sync")
    assert json.loads(danube.command("pipelines", "--json").stdout) == []
    assert danube.command("trigger", "app", check=False).returncode == 3
    assert "built" in danube.command("logs", job["id"]).stdout

    (danube.config / "config.yaml").write_text(
        "apiVersion: danube.dev/v1\nkind: Config\nmetadata: {name: global}\nspec: {observability: {metrics_enabled: false}}\n"
    )
    danube.command("config", "sync")
    with pytest.raises(NotFound, match="metrics are disabled"):
        danube.client.get("/metrics")


def test_a_configured_secret_without_a_value_does_not_prevent_the_start(danube: Installation) -> None:
    spec = {
        "git_authentication": [
            {"type": "https_token", "name": "forge", "token_secret": "t", "match_patterns": ["127.0.0.1:1/*"]}
        ]
    }
    document = {"apiVersion": "danube.dev/v1", "kind": "Config", "metadata": {"name": "global"}, "spec": spec}
    (danube.config / "config.yaml").write_text(json.dumps(document))
    danube.pipeline("app", None, repository="http://127.0.0.1:1/app.git")
    danube.serve()
    status = json.loads(danube.command("config", "status", "--json").stdout)
    assert status["ok"]
    assert [one["hint"] for one in status["conditions"]] == ["danube secrets set t"]
    job = danube.trigger("app")
    wait_until(lambda: "is not set" in danube.command("explain", job).stdout, 30, "the cause")
    explained = danube.command("explain", job).stdout
    assert "needs the secret 't', which is not set (danube secrets set t)" in explained
    danube.command("secrets", "set", "t", stdin="value")
    wait_until(
        lambda: not json.loads(danube.command("config", "status", "--json").stdout)["conditions"], 10, "no condition"
    )


@pytest.mark.long
def test_a_server_starts_before_its_configuration_can_be_read(danube: Installation, ssh: SshServer) -> None:
    repository = ServedRepository(danube.path / "served" / "config.git")
    pipeline = "apiVersion: danube.dev/v1\nkind: Pipeline\nmetadata: {name: app}\nspec: {repository: /srv/app}\n"
    first = repository.commit({"pipelines/app.yaml": pipeline})
    (danube.path / "danube.toml").write_text(
        f'[config_repo]\nurl = "{ssh.url(repository)}"\nsync_interval = 3600\n[server]\nbind_address = "127.0.0.1:0"\n'
    )
    danube.serve()
    status = json.loads(danube.command("config", "status", "--json", check=False).stdout)
    wait_until(
        lambda: "host key" in danube.command("config", "sync", check=False).stdout, 20, "the host key to be refused"
    )
    assert not status["ok"]
    (danube.data / "keys" / "known_hosts").write_bytes(ssh.known_hosts.read_bytes())
    refused = danube.command("config", "sync", check=False).stdout
    assert "may not be read with the credential of the rule 'deploy key'" in refused

    ssh.authorize(danube.command("keys").stdout.splitlines()[1])
    applied = json.loads(danube.command("config", "sync", "--json").stdout)
    assert (applied["ok"], applied["applied_revision"]) == (True, first)

    bad = repository.commit({"pipelines/app.yaml": pipeline.replace("Pipeline", "Pipelin")})
    seen = json.loads(danube.command("config", "sync", "--json", check=False).stdout)
    assert (seen["ok"], seen["applied_revision"], seen["seen_revision"]) == (False, first, bad)
    assert seen["findings"] == [
        {
            "place": "pipelines/app.yaml:2",
            "what": "unknown kind 'Pipelin'",
            "hint": "did you mean 'Pipeline'?",
            "url": "",
        }
    ]
    ssh.stop()
    danube.stop()
    danube.serve()
    assert [one["name"] for one in json.loads(danube.command("pipelines", "--json").stdout)] == ["app"]


@pytest.mark.long
def test_init_writes_a_danubefile_that_runs(danube: Installation) -> None:
    app = danube.repository("shop", {"Makefile": "test:\n\t@echo tested\n"})
    assert "found: Make" in danube.command("init", str(app), "--repository", "https://git.example.org/shop.git").stderr
    assert "danubefile.py OK: shop" in danube.command("validate", str(app)).stdout
    assert (app / "danube-pipeline.yaml").read_text().startswith("# A pipeline. Its place is pipelines/shop.yaml")
    schema = json.loads(danube.command("validate", "--schema").stdout)
    assert schema["title"] == "Danube configuration, danube.dev/v1"
    ran = danube.command("run", str(app))
    assert "tested" in ran.stdout


def test_a_starter_configuration_is_valid(danube: Installation) -> None:
    target = danube.path / "starter"
    danube.command("init", "--config", str(target), "--repository", "git@git.example.org:team/Shop.git")
    assert "2 teams, 1 pipeline\n" in danube.command("validate", str(target)).stdout
    assert (target / "pipelines" / "shop.yaml").exists()
    refused = danube.command("init", "--config", str(target), check=False)
    assert "already exists" in refused.stderr
