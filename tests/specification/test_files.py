"""The specification's own danube.toml, configuration and danubefile are understood as they are; a server starts with
them in tests/e2e/test_specification.py."""

import shutil
from pathlib import Path

from danube_pkg.adapters.configuration import read_settings
from danube_pkg.core.configuration.planned import planned_settings
from danube_pkg.core.configuration.settings import ConfigRepository
from danube_pkg.ops.validate import validate

FILES = Path(__file__).parent
PLACEHOLDER = '"$2a$10$..."'
HASH = '"$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W"'


def with_a_hash(path: Path) -> Path:
    """The configuration with a password's hash in the place of the placeholder."""
    shutil.copytree(FILES, path, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    users = path / "users.yaml"
    users.write_text(users.read_text().replace(PLACEHOLDER, HASH))
    return path


def test_danube_toml_is_read() -> None:
    settings = read_settings(FILES / "danube.toml")
    expected = ConfigRepository("git@github.com:myorg/danube-config.git", branch="main", sync_interval=60)
    assert settings.config_repo == expected
    assert (settings.server.bind_address, settings.server.data_dir) == ("0.0.0.0:8080", "/var/lib/danube")


def test_the_placeholder_of_a_hash_is_the_only_finding() -> None:
    """One for each user, and none about the teams that name these users."""
    found = validate(FILES)
    assert [(str(one.place), one.what) for one in found.findings] == [
        (f"users.yaml:{line}", "spec.password_hash must be a bcrypt hash") for line in (7, 15)
    ]


def test_with_a_hash_it_is_a_configuration_whose_keys_act_or_say_that_they_do_not(tmp_path: Path) -> None:
    found = validate(with_a_hash(tmp_path / "config"))
    assert found.findings == ()
    assert found.state is not None
    assert set(found.state.users) == {"alice@example.com", "bob@example.com"}
    assert set(found.state.teams) == {"platform", "engineering"}
    assert set(found.state.pipelines) == {"frontend-build"}
    silent = {str(one).partition(" has no effect")[0] for one in planned_settings(found.state)}
    assert silent <= {
        "config.yaml: observability.otel_endpoint",
        "config.yaml: observability.traces_enabled",
    }


def test_the_danubefile_is_understood() -> None:
    found = validate(FILES / "application")
    assert found.findings == ()
    (outline,) = found.outlines.values()
    assert (outline.name, outline.images) == ("Frontend Build", ("node:20",))
    assert [one.name for one in outline.secrets] == ["DEPLOY_TOKEN"]
