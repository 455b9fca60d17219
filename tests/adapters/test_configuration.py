"""danube.toml and configuration directories on a real disk, configuration in a real Git branch, and what a sync does with them."""

import itertools
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from danube_pkg.adapters.configuration import (
    ConfigurationDirectory,
    find_settings,
    read_settings,
    validate_directory,
)
from danube_pkg.adapters.git.sources import GitSources
from danube_pkg.core.errors import ConfigurationInvalid, Invalid
from danube_pkg.core.pipelines import Pipeline
from danube_pkg.core.settings import ConfigRepository, RuntimeKind
from danube_pkg.kit.clock import SystemClock
from danube_pkg.services.configuration import Configuration

EXAMPLES = Path(__file__).parents[2] / "examples"
PIPELINE = "apiVersion: danube.dev/v1\nkind: Pipeline\nmetadata: {name: NAME}\nspec: {repository: ../app}\n"


def write(directory: Path, **pipelines: str) -> Path:
    (directory / "pipelines").mkdir(parents=True, exist_ok=True)
    for name, text in pipelines.items():
        (directory / "pipelines" / f"{name}.yaml").write_text(text.replace("NAME", name))
    return directory


class Pipelines:
    """A `PipelineStore` in memory, as far as a sync needs it."""

    def __init__(self) -> None:
        self.known: dict[str, Pipeline] = {}
        self.revisions: list[str] = []

    async def apply_pipelines(self, pipelines: Sequence[Pipeline], revision: str) -> None:
        self.known = {pipeline.name: pipeline for pipeline in pipelines}
        self.revisions.append(revision)

    async def load_pipeline(self, name: str) -> Pipeline | None:
        return self.known.get(name)

    async def pipeline_by_id(self, pipeline_id: str) -> Pipeline | None:
        return next((one for one in self.known.values() if one.id == pipeline_id), None)

    async def list_pipelines(self, *, with_removed: bool = False) -> Sequence[Pipeline]:
        return list(self.known.values())


@pytest.fixture
def store() -> Pipelines:
    return Pipelines()


def configuration(url: Path, store: Pipelines, tmp_path: Path, branch: str = "") -> Configuration:
    source = ConfigurationDirectory(ConfigRepository(str(url), branch), GitSources(tmp_path / "repos"))
    numbers = itertools.count(1)
    return Configuration(source, store, SystemClock(), lambda: f"id{next(numbers)}", lambda: None)


# --- danube.toml


def test_the_smallest_file_is_enough(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "danube.toml").write_text('[config_repo]\nurl = "config"\n')
    settings = read_settings(tmp_path / "danube.toml")
    assert settings.config_repo.url == str(tmp_path / "config")
    assert (settings.server.bind_address, settings.runtime.kind) == ("127.0.0.1:8080", RuntimeKind.AUTO)
    assert (settings.server.data_dir, settings.config_repo.sync_interval) == ("/var/lib/danube", 60)


def test_all_mistakes_of_the_file_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "danube.toml").write_text(
        '[config_repo]\nurl = 5\nbrnach = "main"\n\n[server]\nbind_address = "nowhere"\n\n[runtime]\nkind = "docker"\n'
        'host_paths = ["relative"]\n\n[srever]\n'
    )
    with pytest.raises(ConfigurationInvalid) as refused:
        read_settings(tmp_path / "danube.toml")
    told = [(one.place.line if one.place else 0, one.what, one.hint) for one in refused.value.findings]
    assert [line for line, _, _ in told] == [2, 3, 6, 9, 10, 12]
    assert told[1][1:] == ("unknown field config_repo.brnach", "did you mean 'branch'?")
    assert "one of auto, kubernetes, sandbox" in told[3][1]
    assert told[5][2] == "did you mean 'server'?"


def test_missing_directories_and_files_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "danube.toml").write_text(
        '[config_repo]\nurl = "config"\n[runtime]\nkubeconfig = "kube"\n[tls]\ncertificate = "c.pem"\n'
    )
    with pytest.raises(ConfigurationInvalid) as refused:
        read_settings(tmp_path / "danube.toml")
    assert [one.place.line for one in refused.value.findings if one.place] == [2, 4, 5, 6]


@pytest.mark.parametrize(("text", "line"), [("[config_repo\n", 1), ("a = 1\nb = nope\n", 2), ("", 0)])
def test_what_is_no_toml_or_empty_is_told(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / "danube.toml").write_text(text)
    with pytest.raises(ConfigurationInvalid) as refused:
        read_settings(tmp_path / "danube.toml")
    place = refused.value.findings[0].place
    assert place is not None
    assert place.line == line


def test_a_missing_file_says_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Invalid, match=r"absent\.toml"):
        find_settings(tmp_path / "absent.toml")
    (tmp_path / "danube.toml").write_text("")
    assert find_settings() == tmp_path / "danube.toml"


# --- directories


def test_a_directory_is_validated_with_places_relative_to_it(tmp_path: Path) -> None:
    write(tmp_path, good=PIPELINE, bad=PIPELINE + "extra: 1\n")
    (tmp_path / "pipelines" / "other.yml").write_text("")
    (tmp_path / "secret.yaml").write_text("not: read")
    (tmp_path / "users.yaml").symlink_to("/etc/hostname")
    told = [str(one) for one in validate_directory(tmp_path)]
    assert told == [
        "pipelines/bad.yaml:5: unknown field extra",
        "pipelines/other.yml: the file would not be read",
        "users.yaml: a symbolic link leads outside the configuration",
    ]


def test_an_empty_directory_is_no_configuration(tmp_path: Path) -> None:
    assert "no configuration is here" in str(validate_directory(tmp_path)[0])


def test_the_examples_are_valid() -> None:
    assert list(validate_directory(EXAMPLES / "config")) == []
    assert read_settings(EXAMPLES / "danube.toml").config_repo.url == str(EXAMPLES / "config")


# --- sync


async def test_a_mistake_changes_nothing_and_a_fix_is_applied(tmp_path: Path, store: Pipelines) -> None:
    config = write(tmp_path / "config", one=PIPELINE, two=PIPELINE)
    danube = configuration(config, store, tmp_path)
    status = await danube.sync()
    assert status.ok
    assert [*store.known] == ["one", "two"]
    assert store.known["one"].settings.repository == str(tmp_path / "app")

    write(config, two=PIPELINE + "wrong: 1\n", three=PIPELINE)
    status = await danube.sync()
    assert [str(one) for one in status.findings] == ["pipelines/two.yaml:5: unknown field wrong"]
    assert status.applied_revision != status.seen_revision
    assert [*store.known] == ["one", "two"]

    write(config, two=PIPELINE)
    (config / "pipelines" / "one.yaml").unlink()
    status = await danube.sync()
    assert status.ok
    assert {name: pipeline.id for name, pipeline in store.known.items()} == {"three": "id3", "two": "id2"}


async def test_what_did_not_change_is_not_applied_again(tmp_path: Path, store: Pipelines) -> None:
    danube = configuration(write(tmp_path / "config", one=PIPELINE), store, tmp_path)
    await danube.sync()
    await danube.sync()
    assert len(store.revisions) == 1


async def test_a_configuration_that_is_away_keeps_the_last_good_one(tmp_path: Path, store: Pipelines) -> None:
    config = write(tmp_path / "config", one=PIPELINE)
    danube = configuration(config, store, tmp_path)
    await danube.sync()
    config.rename(tmp_path / "moved")
    status = await danube.sync()
    assert status.problem is not None
    assert status.problem.reference == "configuration-missing"
    assert [*store.known] == ["one"]
    (tmp_path / "moved").rename(config)
    assert (await danube.sync()).ok


async def test_a_repository_counts_by_its_branch_and_not_by_its_disk(tmp_path: Path, store: Pipelines) -> None:
    config = write(tmp_path / "config", one=PIPELINE)

    def git(*words: str) -> str:
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
        done = subprocess.run(["git", *identity, *words], cwd=config, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    write(config, uncommitted=PIPELINE)
    danube = configuration(config, store, tmp_path, "main")
    status = await danube.sync()
    assert status.applied_revision == git("rev-parse", "HEAD")
    assert [*store.known] == ["one"]
    assert store.known["one"].settings.repository == str(tmp_path / "app")
    git("branch", "-m", "main", "trunk")
    status = await danube.sync()
    assert "main" in str(status.problem)
    assert [*store.known] == ["one"]
