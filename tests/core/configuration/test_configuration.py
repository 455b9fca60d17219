"""The configuration: states from documents, limits of files, names of repositories, cron expressions."""

import textwrap
from pathlib import Path
from typing import Any

import pytest

from danube_pkg.adapters.configuration.marked_yaml import MAX_DEPTH, MAX_FILE_BYTES, MAX_NODES, parse_yaml
from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.json_schema import json_schema
from danube_pkg.core.configuration.kinds import KINDS, ConfigurationFiles, Metadata
from danube_pkg.core.configuration.pipelines import CatchUp, TriggerKind
from danube_pkg.core.configuration.reader import read_configuration
from danube_pkg.core.configuration.reference_page import records_in, reference_page
from danube_pkg.core.configuration.secret_names import NamedSecret, named_secrets
from danube_pkg.core.configuration.settings import Settings
from danube_pkg.core.configuration.state import State, pipeline_of
from danube_pkg.core.documents.marked import MAX_FINDINGS, Findings, rule_of
from danube_pkg.core.documents.records import (
    marked,
    plain,
    read_record,
    typed_fields,
)
from danube_pkg.core.errors import Invalid, SourceLocation
from danube_pkg.core.identity.access import TeamRole
from danube_pkg.core.pipelines import GRACE_SECONDS, PipelineSettings
from danube_pkg.core.repositories.git_authentication import GithubApp, GitlabToken, SshKey
from danube_pkg.core.repositories.globs import matches, matches_across
from danube_pkg.core.repositories.urls import (
    canonical,
    has_password,
    is_remote,
    repository_from,
    same_repository,
)
from danube_pkg.core.runtimes.pods import Network
from danube_pkg.core.schedules import cron
from danube_pkg.kit.records import replace

HASH = "$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W"
GOOD = f"""
apiVersion: danube.dev/v1
kind: Config
metadata: {{name: global}}
spec:
  server: {{bind_address: "0.0.0.0:8080", data_dir: "/var/lib/danube"}}
  kubernetes: {{namespace: "danube-jobs", coordinator_image: "danube-coordinator:latest"}}
  retention: {{logs_days: 30, artifacts_days: 14, registry_images_days: 30}}
  observability: {{otel_endpoint: "http://localhost:4317", metrics_enabled: true, traces_enabled: true}}
  egress_allowlist: ["packages.example.org", "*.files.example.org", "github.com", "registry.danube-system"]
  git_authentication:
    - {{type: github_app, name: myorg-app, app_id: "123456", installation_id: "78910", private_key_secret: "github-app-myorg-key", match_patterns: ["github.com/myorg/*"]}}
    - {{type: gitlab_token, name: gitlab-internal, url: "https://gitlab.internal.company.com", token_secret: "gitlab-token", match_patterns: ["gitlab.internal.company.com/*"]}}
    - {{type: ssh_key, name: fallback, private_key_path: "/var/lib/danube/keys/git_fallback_key", match_patterns: ["*"]}}
---
apiVersion: danube.dev/v1
kind: User
metadata: {{name: alice}}
spec: {{email: alice@example.com, password_hash: "{HASH}"}}
---
apiVersion: danube.dev/v1
kind: Team
metadata: {{name: platform}}
spec: {{members: [alice@example.com], global_admin: true}}
---
apiVersion: danube.dev/v1
kind: Team
metadata: {{name: engineering}}
spec: {{members: [{{email: Alice@example.com, role: admin}}]}}
---
apiVersion: danube.dev/v1
kind: Pipeline
metadata: {{name: frontend-build, team: engineering}}
spec:
  repository: https://github.com/myorg/frontend
  branch_filter: ["main", "release/*"]
  triggers: [{{on: push}}, {{on: cron, schedule: "0 0 * * *"}}]
  script: danubefile.py
  max_duration_seconds: 3600
  workspace_size_gb: 10
  resources: {{cpu: 2, memory_mb: 512}}
  permissions: [{{team: engineering, level: admin}}, {{team: platform, level: read}}]
"""
HEADER = "apiVersion: danube.dev/v1\nkind: Pipeline\nmetadata: {name: app}\n"


def read(text: str, base: str = "/config") -> tuple[State | None, tuple[Invalid, ...]]:
    findings = Findings()
    documents = parse_yaml(textwrap.dedent(text).encode(), "f.yaml", findings)
    return read_configuration(ConfigurationFiles("r1", base, documents, findings.sorted()))


def state_of(text: str) -> State:
    state, findings = read(text)
    assert not findings
    assert state is not None
    return state


def test_the_example_becomes_typed_pipelines_users_and_teams() -> None:
    state = state_of(GOOD)
    assert [type(one) for one in state.config.git_authentication] == [GithubApp, GitlabToken, SshKey]
    assert state.config.server.bind_address == "0.0.0.0:8080"
    assert state.users["alice@example.com"].password_hash == HASH
    assert state.teams["platform"].global_admin
    assert [(one.email, one.role) for one in state.teams["engineering"].members] == [
        ("alice@example.com", TeamRole.ADMIN)
    ]
    definition = state.pipelines["frontend-build"]
    assert [one.kind for one in definition.spec.triggers] == [TriggerKind.PUSH, TriggerKind.CRON]
    assert definition.place == SourceLocation("f.yaml", 31)
    pipeline = pipeline_of(definition, state.config, "p1")
    assert (pipeline.name, pipeline.team, pipeline.cron_schedule) == ("frontend-build", "engineering", "0 0 * * *")
    assert pipeline.branch_filter == ("main", "release/*")
    assert pipeline.settings == PipelineSettings(
        "https://github.com/myorg/frontend",
        max_duration_seconds=3600,
        workspace_size_gb=10,
        memory_mb=512,
        cpu=2.0,
        network=Network.ALLOWLIST,
        grace_seconds=GRACE_SECONDS,
    )
    assert HASH not in repr(state)


def test_named_secrets_are_listed_with_the_field_that_names_them() -> None:
    assert named_secrets(state_of(GOOD)) == (
        NamedSecret("github-app-myorg-key", "config: git_authentication[myorg-app].private_key_secret"),
        NamedSecret("gitlab-token", "config: git_authentication[gitlab-internal].token_secret"),
    )


def test_a_record_stored_as_json_is_read_unchanged() -> None:
    state = state_of(GOOD)
    for record in (state.config, state.pipelines["frontend-build"].spec):
        findings = Findings()
        assert read_record(type(record), marked(plain(record), SourceLocation("stored")), findings) == record
        assert not findings


def test_defaults_are_those_of_the_engine() -> None:
    pipeline = state_of(HEADER + "spec: {repository: ../app}\n").pipelines["app"]
    assert pipeline_of(pipeline, ConfigSpec(), "").settings == PipelineSettings(
        "/app", network=Network.ALLOWLIST, grace_seconds=GRACE_SECONDS
    )


@pytest.mark.parametrize("word", ["off", '"off"'])
def test_a_word_that_yaml_reads_as_a_boolean_may_be_written_without_quotes(word: str) -> None:
    """PyYAML follows YAML 1.1, where off is false."""
    config = f"apiVersion: danube.dev/v1\nkind: Config\nmetadata: {{name: global}}\nspec: {{catch_up: {word}}}\n"
    assert state_of(config).config.catch_up is CatchUp.OFF


def test_the_servers_allowlist_precedes_the_pipelines_own() -> None:
    text = HEADER + "spec: {repository: ../app, egress_allowlist: [b.example, '*.c.example:8443', 10.0.0.0/8]}\n"
    settings = pipeline_of(state_of(text).pipelines["app"], ConfigSpec(), "").settings
    assert settings.allowing(["a.example", "b.example"]).egress_allowlist == (
        "a.example", "b.example", "*.c.example:8443", "10.0.0.0/8",
    )  # fmt: skip
    assert replace(settings, network=Network.NONE).allowing(["a.example"]).egress_allowlist == settings.egress_allowlist


def test_an_allowlist_has_a_limit() -> None:
    names = ", ".join("a" * 60 + ".example" for _ in range(600))
    _, findings = read(HEADER + f"spec: {{repository: ../app, egress_allowlist: [{names}]}}\n")
    assert [one.what for one in findings] == ["spec.egress_allowlist has more than 32768 characters"]


def test_without_users_the_members_of_teams_are_the_users() -> None:
    state = state_of("apiVersion: danube.dev/v1\nkind: Team\nmetadata: {name: a}\nspec: {members: [Bob@Example.com]}\n")
    assert [*state.users] == ["bob@example.com"]


def spec(text: str) -> str:
    return f"{HEADER}spec:\n  repository: ../app\n{textwrap.indent(textwrap.dedent(text), '  ')}"


def test_all_mistakes_are_reported_at_once_in_order() -> None:
    _, findings = read(spec("scirpt: a\nimage: 1\nlog_limit_mb: 0\n"))
    assert [one.place.line for one in findings if one.place] == [6, 7, 8]


def test_the_number_of_findings_is_bounded() -> None:
    _, findings = read(HEADER + "spec:\n" + "".join(f"  key{number}: 1\n" for number in range(5000)))
    assert len(findings) == MAX_FINDINGS


def test_large_and_binary_files_are_refused() -> None:
    findings = Findings()
    assert parse_yaml(b"#" * (MAX_FILE_BYTES + 1), "big.yaml", findings) == ()
    assert parse_yaml(b"a: 1\nb: \xff\n", "odd.yaml", findings) == ()
    assert [str(one) for one in findings.sorted()] == [
        f"big.yaml: the file has {MAX_FILE_BYTES + 1} bytes; at most {MAX_FILE_BYTES} are read",
        "odd.yaml:2: the file is not UTF-8",
    ]


def test_aliases_that_expand_without_end_and_deep_nesting_are_refused() -> None:
    findings = Findings()
    laughs = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 10))
    assert parse_yaml(f"l0: &l0 x\n{laughs}".encode(), "laughs.yaml", findings) == ()
    assert parse_yaml(b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2), "deep.yaml", findings) == ()
    assert parse_yaml(b"a: &a [*a]\n", "circle.yaml", findings) == ()
    assert [str(one) for one in findings.sorted()] == [
        f"circle.yaml: nested deeper than {MAX_DEPTH} levels",
        f"deep.yaml: nested deeper than {MAX_DEPTH} levels",
        f"laughs.yaml: more than {MAX_NODES} values, counting those of aliases",
    ]


def test_a_relative_repository_needs_a_directory_to_start_from() -> None:
    state, findings = read(HEADER + "spec: {repository: ../app}\n", base="")
    assert state is None
    assert "not on this machine" in str(findings[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("../hello", "/etc/hello"),
        ("/srv/app/", "/srv/app"),
        ("file:///srv/app", "/srv/app"),
        ("https://example.org/a/../b", "https://example.org/a/../b"),
        ("git@example.org:a/b.git", "git@example.org:a/b.git"),
    ],
)
def test_repositories_start_from_the_configuration(text: str, expected: str) -> None:
    assert repository_from(text, "/etc/danube") == expected


def test_remote_repositories() -> None:
    assert is_remote("ssh://git@h/x")
    assert is_remote("example.org:myorg/app")
    assert not is_remote("./with:colon")
    assert not is_remote("file:///x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://GitHub.com/MyOrg/app.git", "github.com/MyOrg/app"),
        ("https://user@github.com:443/MyOrg/app/", "github.com/MyOrg/app"),
        ("ssh://git@git.example.org:2222/team/app.git", "git.example.org:2222/team/app"),
        ("git@github.com:MyOrg/app.git", "github.com/MyOrg/app"),
        ("git@github.com:/srv/app.git", "github.com/srv/app"),
        ("ssh://git@[::1]:22/app", "[::1]/app"),
        ("file:///srv/app/", "/srv/app"),
    ],
)
def test_a_repository_has_one_name_for_all_its_urls(text: str, expected: str) -> None:
    assert canonical(text) == expected


def test_the_same_repository_by_ssh_and_https() -> None:
    assert same_repository("git@github.com:MyOrg/App.git", "https://github.com/myorg/app")
    assert not same_repository("https://github.com/myorg/app", "https://github.com/myorg/app2")


def test_credentials_in_a_url_are_detected() -> None:
    assert has_password("https://u:p@h/x")
    assert has_password("https://token@h/x")
    assert not has_password("ssh://git@h/x")
    assert not has_password("https://h/x@y:z")


def test_cron_expressions() -> None:
    for good in ("@daily", "@hourly", "* * * * *", "*/5 0-6 1,15 jan-mar mon-fri", "0 0 * * 7", "59 23 31 12 0"):
        assert cron.problem_with(good) == ""
    for bad in ("", "* * * *", "60 * * * *", "5-1 * * * *", "*/0 * * * *", "* * 0 * *", "* * * foo *", "*-5 * * * *"):
        assert cron.problem_with(bad), bad


def test_the_reference_page_is_made_from_the_definitions() -> None:
    page = Path(__file__).parents[3] / "docs" / "configuration.md"
    assert page.read_text(encoding="utf-8") == reference_page(), "write it: python -m build_steps.reference_page"


def every_record(kind: type[Any], seen: set[type[Any]]) -> set[type[Any]]:
    if kind not in seen:
        seen.add(kind)
        for _, hint in typed_fields(kind).values():
            for inner in records_in(hint):
                every_record(inner, seen)
    return seen


def test_every_key_and_every_record_is_documented() -> None:
    seen: set[type[Any]] = set()
    for kind in (*KINDS.values(), Metadata, Settings):
        every_record(kind, seen)
    assert len(seen) > 30
    for record in seen:
        assert record.__doc__, record
        for key, (field, _) in typed_fields(record).items():
            assert rule_of(field).about.endswith("."), f"{record.__name__}.{key}"


def test_the_json_schema_knows_every_kind_and_refuses_unknown_keys() -> None:
    schema = json_schema()
    assert [one["title"] for one in schema["oneOf"]] == ["Config", "User", "Team", "Pipeline"]
    pipeline = schema["$defs"]["PipelineSpec"]
    assert pipeline["required"] == ["repository"]
    assert not pipeline["additionalProperties"]
    assert pipeline["properties"]["max_duration_seconds"]["anyOf"][0]["minimum"] == 1
    member = schema["$defs"]["MemberSpec"]["anyOf"]
    assert [one["type"] for one in member] == ["string", "object"]
    rules = schema["$defs"]["ConfigSpec"]["properties"]["git_authentication"]["items"]["oneOf"]
    assert rules[0] == {"$ref": "#/$defs/GithubApp"}
    assert schema["$defs"]["GithubApp"]["properties"]["type"] == {"const": "github_app"}


@pytest.mark.parametrize(
    ("pattern", "text"), [("main", "main"), ("release/*", "release/1"), ("**", "a/b"), ("**/x", "x")]
)
def test_globs_match(pattern: str, text: str) -> None:
    assert matches(pattern, text)


def test_globs_stop_at_a_slash_unless_they_are_of_repositories() -> None:
    assert not matches("release/*", "release/1/2")
    assert not matches("main", "main2")
    assert matches_across("github.com/MyOrg/*", "github.com/myorg/group/app")
    assert not matches_across("github.com/myorg/*", "github.com.evil.example/myorg/app")


def test_a_reference_to_a_document_with_mistakes_is_right() -> None:
    """References are checked beside errors of form, by the names that documents declare, whatever else is wrong."""
    _, findings = read(
        """
        apiVersion: danube.dev/v1
        kind: User
        metadata: {name: alice}
        spec: {email: alice@example.com, password_hash: nonsense}
        ---
        apiVersion: danube.dev/v1
        kind: Team
        metadata: {name: core}
        spec: {members: [alice@example.com, rob@example.com], odd: 1}
        ---
        apiVersion: danube.dev/v1
        kind: Team
        metadata: {name: other}
        spec: {members: [alice@example.com, rob@example.com]}
        ---
        apiVersion: danube.dev/v1
        kind: Pipeline
        metadata: {name: app, team: core}
        spec: {repository: ../app, triggers: [{on: pipeline, pipeline: broken}, {on: pipeline, pipeline: gone}]}
        ---
        apiVersion: danube.dev/v1
        kind: Pipeline
        metadata: {name: broken, team: nowhere}
        spec: {repository: 3}
        """
    )
    assert [one.what for one in findings] == [
        "spec.password_hash must be a bcrypt hash",
        "unknown field spec.odd",
        "team 'other': there is no user 'rob@example.com'",
        "spec.triggers[1]: there is no pipeline 'gone'",
        "spec.repository must be text, not a whole number (3)",
    ]


def test_nothing_is_said_about_references_while_a_file_cannot_be_read() -> None:
    """The name may be in it."""
    findings = Findings()
    documents = parse_yaml(
        f"{HEADER}spec: {{repository: ../app, permissions: [{{team: core, level: read}}]}}\n".encode(),
        "p.yaml",
        findings,
    )
    parse_yaml(b"kind: [", "teams.yaml", findings)
    assert len(findings) == 1
    _, found = read_configuration(ConfigurationFiles("r1", "/config", documents, findings.sorted()))
    assert [one.place.file for one in found if one.place] == ["teams.yaml"]


def test_a_name_in_the_registry_belongs_to_one_pipeline() -> None:
    documents = "\n---\n".join(
        f"apiVersion: danube.dev/v1\nkind: Pipeline\nmetadata: {{name: {name}}}\nspec: {{repository: ../x, images: {images}}}"
        for name, images in (("app", "[shop, app-cache]"), ("web", "[shop/front]"), ("docs", "[app/docs]"))
    )
    _, findings = read(documents)
    assert [(one.what, one.hint) for one in findings] == [
        ("'shop' belongs to pipeline 'web'", "push to app/shop, which needs no line"),
        ("'shop/front' belongs to pipeline 'app'", "push to web/front, which needs no line"),
        ("'app/docs' belongs to pipeline 'app'", "push to docs/docs, which needs no line"),
    ]
