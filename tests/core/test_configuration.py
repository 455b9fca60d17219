"""What a configuration means, and what each mistake in it is told: file, line, sentence and hint."""

import textwrap

import pytest

from danube_pkg.adapters.configuration.marked_yaml import MAX_FILE_BYTES, parse_yaml
from danube_pkg.core import cron
from danube_pkg.core.configuration import (
    ConfigurationFiles,
    DesiredState,
    is_remote,
    read_configuration,
    repository_from,
)
from danube_pkg.core.errors import Invalid
from danube_pkg.core.marked import MAX_FINDINGS, Findings
from danube_pkg.core.pipelines import PipelineSettings

HASH = "$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W"
GOOD = f"""
apiVersion: danube.dev/v1
kind: Config
metadata: {{name: global}}
spec: {{max_concurrent_jobs: 2}}
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
kind: Pipeline
metadata: {{name: frontend-build, team: platform}}
spec:
  repository: https://github.com/myorg/frontend
  branch_filter: ["main", "release/*"]
  triggers: [{{on: push}}, {{on: cron, schedule: "0 0 * * *"}}]
  script: danubefile.py
  max_duration_seconds: 600
  workspace_size_gb: 10
  resources: {{cpu: 2, memory_mb: 512}}
  permissions: [{{team: platform, level: read}}]
"""
HEADER = "apiVersion: danube.dev/v1\nkind: Pipeline\nmetadata: {name: app}\n"


def read(text: str, base: str = "/config") -> tuple[DesiredState | None, tuple[Invalid, ...]]:
    findings = Findings()
    documents = parse_yaml(textwrap.dedent(text).encode(), "f.yaml", findings)
    return read_configuration(ConfigurationFiles("r1", base, documents, findings.sorted()))


def test_the_example_becomes_typed_pipelines_users_and_teams() -> None:
    state, findings = read(GOOD)
    assert not findings
    assert state is not None
    assert state.config.max_concurrent_jobs == 2
    assert (state.users[0].email, state.teams[0].global_admin) == ("alice@example.com", True)
    pipeline = state.pipelines[0]
    assert (pipeline.name, pipeline.team, pipeline.cron_schedule) == ("frontend-build", "platform", "0 0 * * *")
    assert pipeline.branch_filter == ("main", "release/*")
    expected = PipelineSettings(
        "https://github.com/myorg/frontend", max_duration_seconds=600, workspace_size_gb=10, memory_mb=512, cpu=2.0
    )
    assert pipeline.settings == expected
    assert HASH not in repr(state)


def test_defaults_are_those_of_the_engine() -> None:
    state, _ = read(HEADER + "spec: {repository: ../app}\n")
    assert state is not None
    assert state.pipelines[0].settings == PipelineSettings("/app")


def spec(text: str) -> str:
    return f"{HEADER}spec:\n  repository: ../app\n{textwrap.indent(textwrap.dedent(text), '  ')}"


CASES: list[tuple[str, int, str, str]] = [
    ("apiVersion: v1\nkind: Pipeline\n", 1, "apiVersion must be danube.dev/v1", "write: apiVersion"),
    ("kind: Pipeline\n", 1, "apiVersion must be", ""),
    ("apiVersion: danube.dev/v1\nkind: Pipelin\n", 2, "unknown kind 'Pipelin'", "'Pipeline'"),
    ("apiVersion: danube.dev/v1\n", 1, "kind is missing", "known here"),
    ("- a\n- b\n", 1, "a document must be a mapping", "apiVersion"),
    (HEADER, 1, "spec.repository is missing", "add: repository"),
    ("apiVersion: danube.dev/v1\nkind: Pipeline\nspec: {repository: x}\n", 1, "metadata.name is missing", ""),
    (HEADER + "spec:\n", 4, "spec must be a mapping, not empty", ""),
    (HEADER + "spec: {repository: x}\nsepc: {}\n", 5, "unknown field sepc", "'spec'"),
    (HEADER.replace("app", "App Name") + "spec: {repository: x}\n", 3, "metadata.name must match", "frontend-build"),
    (HEADER.replace("{name: app}", "{name: app, temm: x}") + "spec: {repository: x}\n", 3, "metadata.temm", "'team'"),
    (HEADER + 'spec: {repository: ""}\n', 4, "spec.repository must match", "https://"),
    (HEADER + "spec: {repository: 'https://u:pw@h/x'}\n", 4, "holds a password", "revoke"),
    (spec("scirpt: x.py\n"), 6, "unknown field spec.scirpt", "'script'"),
    (spec("script: /etc/passwd\n"), 6, "spec.script must match", ""),
    (spec("script: a/../../b.py\n"), 6, "must stay inside the repository", "'..'"),
    (spec("image: 12\n"), 6, "spec.image must be text, not a whole number (12)", "quotes"),
    (spec("image: yes\n"), 6, "spec.image must be text, not true or false", "quotes"),
    (spec("image:\n"), 6, "spec.image must be text, not empty", ""),
    (spec("max_duration_seconds: soon\n"), 6, "must be a whole number, not text ('soon')", ""),
    (spec("max_duration_seconds: 0\n"), 6, "spec.max_duration_seconds must be at least 1, not 0", ""),
    (spec("max_duration_seconds: 1.5\n"), 6, "must be a whole number", ""),
    (spec("max_duration_seconds: true\n"), 6, "must be a whole number", ""),
    (spec("workspace_size_gb: 99999\n"), 6, "must be at most 10000", ""),
    (spec("log_limit_mb: -1\n"), 6, "spec.log_limit_mb must be at least 1", ""),
    (spec("branch_filter: main\n"), 6, "spec.branch_filter must be a list, not text ('main')", ""),
    (spec("branch_filter:\n- main\n- 'a b'\n"), 8, "spec.branch_filter[1] must match", "release"),
    (spec("resources: {memory: 5}\n"), 6, "unknown field spec.resources.memory", "'memory_mb'"),
    (spec("resources: {cpu: many}\n"), 6, "spec.resources.cpu must be a number", ""),
    (spec("resources: []\n"), 6, "spec.resources must be a mapping, not a list", ""),
    (spec("triggers:\n- on: psuh\n"), 7, "spec.triggers[0].on must be one of push", "'push'"),
    (spec("triggers:\n- {schedule: '* * * * *'}\n"), 7, "spec.triggers[0].on is missing", ""),
    (spec("triggers:\n- on: cron\n"), 7, "on: cron needs a schedule", "every day"),
    (spec("triggers:\n- on: cron\n  schedule: '61 * * * *'\n"), 8, "a minute is from 0 to 59", "0 3"),
    (spec("triggers:\n- on: cron\n  schedule: daily\n"), 8, "five fields, not 1", ""),
    (spec("triggers:\n- on: push\n  schedule: '0 0 * * *'\n"), 8, "a schedule belongs to on: cron", "remove"),
    (
        spec("triggers:\n- {on: cron, schedule: '0 1 * * *'}\n- {on: cron, schedule: '0 2 * * *'}\n"),
        8,
        "one schedule",
        "",
    ),
    (spec("permissions: [{team: nobody, level: read}]\n"), 6, "there is no team 'nobody'", ""),
    (spec("permissions: [{team: nobody, level: raed}]\n"), 6, "level must be one of read, write, admin", "'read'"),
    (GOOD.replace("team: platform}", "team: platfrom}"), 19, "there is no team 'platfrom'", "'platform'"),
    (GOOD.replace("members: [alice@", "members: [alcie@"), 15, "no user 'alcie@example.com'", "'alice@example.com'"),
    (GOOD.replace("$2a$10$", "$2a$04$"), 10, "spec.password_hash must match", "cost 10 to 16"),
    (GOOD.replace("email: alice@example.com", "email: alice"), 10, "spec.email must match", "alice@example.com"),
    (GOOD.replace("spec: {max_concurrent_jobs: 2}", "spec: {retention: {}}"), 5, "unknown field spec.retention", ""),
    (GOOD.replace("name: alice}", "name: alice, team: platform}"), 9, "a User has no team", "remove"),
    (
        GOOD + "---\n" + HEADER.replace("app", "frontend-build") + "spec: {repository: x}\n",
        32,
        "already, at f.yaml:19",
        "",
    ),
    (HEADER + "spec: {repository: a, repository: b}\n", 4, "'repository' is there twice, first in line 4", "remove"),
    (HEADER + "spec: {repository: a\n", 5, "no valid YAML", "indentation"),
    (HEADER + "spec:\n\trepository: a\n", 5, "no valid YAML", ""),
    (HEADER + "spec: {? [a] : b, repository: x}\n", 4, "a key must be text", ""),
    (HEADER + "spec: {repository: !!python/name:os.system x}\n", 4, "is not allowed", "remove the tag"),
    (HEADER + "spec: {repository: !secret x}\n", 4, "the tag '!secret' is not allowed", ""),
    (HEADER + "spec: {repository: *gone}\n", 4, "no valid YAML", ""),
    (HEADER + "spec: " + "[" * 60 + "]" * 60, 0, "nested deeper", "divide"),
    (
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(9 * ['*' + chr(97 + i)])}]\n" for i in range(9)),
        0,
        "more than 100000 values",
        "aliases",
    ),
]


@pytest.mark.parametrize(("text", "line", "sentence", "hint"), CASES)
def test_each_mistake_is_told_at_its_line(text: str, line: int, sentence: str, hint: str) -> None:
    state, findings = read(text)
    assert state is None
    told = [(one.place.line if one.place else None, one.what, one.hint) for one in findings]
    assert any(at == line and sentence in what and hint in said for at, what, said in told), told
    assert all(one.place is not None and one.place.file == "f.yaml" for one in findings)


def test_all_mistakes_are_told_at_once_in_their_order() -> None:
    _, findings = read(spec("scirpt: a\nimage: 1\nlog_limit_mb: 0\n"))
    assert [one.place.line for one in findings if one.place] == [6, 7, 8]


def test_a_file_full_of_mistakes_is_bounded() -> None:
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


def test_a_relative_repository_needs_a_directory_to_start_from() -> None:
    state, findings = read(HEADER + "spec: {repository: ../app}\n", base="")
    assert state is None
    assert "another machine" in str(findings[0])


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


def test_what_is_remote() -> None:
    assert is_remote("ssh://git@h/x")
    assert is_remote("example.org:myorg/app")
    assert not is_remote("./with:colon")
    assert not is_remote("file:///x")


def test_cron_expressions() -> None:
    for good in ("* * * * *", "*/5 0-6 1,15 jan-mar mon-fri", "0 0 * * 7", "59 23 31 12 0"):
        assert cron.problem_with(good) == ""
    for bad in ("", "* * * *", "60 * * * *", "5-1 * * * *", "*/0 * * * *", "* * 0 * *", "* * * foo *", "*-5 * * * *"):
        assert cron.problem_with(bad), bad
