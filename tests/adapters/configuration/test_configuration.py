"""danube.toml and configuration directories on a real disk."""

from pathlib import Path

import pytest

from danube_pkg.adapters.configuration import find_settings, read_settings, validate_directory
from danube_pkg.core.configuration.config import ConfigSpec, ServerSpec
from danube_pkg.core.configuration.settings import (
    RuntimeKind,
    ServerSettings,
    effective_settings,
    pending_settings,
)
from danube_pkg.core.errors import ConfigurationInvalid, Invalid

EXAMPLES = Path(__file__).parents[3] / "examples"
PIPELINE = "apiVersion: danube.dev/v1\nkind: Pipeline\nmetadata: {name: NAME}\nspec: {repository: ../app}\n"


def write(directory: Path, **pipelines: str) -> Path:
    (directory / "pipelines").mkdir(parents=True, exist_ok=True)
    for name, text in pipelines.items():
        (directory / "pipelines" / f"{name}.yaml").write_text(text.replace("NAME", name))
    return directory


# --- danube.toml


def test_the_smallest_file_is_enough(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "danube.toml").write_text('[config_repo]\nurl = "config"\n')
    settings = read_settings(tmp_path / "danube.toml")
    assert settings.config_repo.url == str(tmp_path / "config")
    assert (settings.server.bind_address, settings.runtime.kind) == ("127.0.0.1:8080", RuntimeKind.AUTO)
    assert (settings.server.data_dir, settings.config_repo.sync_interval) == ("/var/lib/danube", 60)


def test_the_interval_may_be_a_text(tmp_path: Path) -> None:
    (tmp_path / "danube.toml").write_text(
        '[config_repo]\nurl = "."\nsync_interval = "5m"\n[images]\nstore_gb = "1TiB"\n'
    )
    settings = read_settings(tmp_path / "danube.toml")
    assert (settings.config_repo.sync_interval, settings.images.store_gb) == (300, 1024)


def test_all_mistakes_of_the_file_are_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "danube.toml").write_text(
        '[config_repo]\nurl = 5\nbrnach = "main"\n\n[server]\nbind_address = "nowhere"\n\n[runtime]\nkind = "docker"\n'
        'host_paths = ["relative"]\n\n[srever]\n'
    )
    with pytest.raises(ConfigurationInvalid) as refused:
        read_settings(tmp_path / "danube.toml")
    found = [(one.place.line if one.place else 0, one.what, one.hint) for one in refused.value.findings]
    assert [line for line, _, _ in found] == [2, 3, 6, 9, 10, 12]
    assert found[2][1] == "server.bind_address must be an address HOST:PORT, not 'nowhere'"
    assert found[1][1:] == ("unknown field config_repo.brnach", "did you mean 'branch'?")
    assert "one of auto, kubernetes, sandbox" in found[3][1]
    assert found[5][2] == "did you mean 'server'?"


def test_missing_directories_and_files_are_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "danube.toml").write_text(
        '[config_repo]\nurl = "config"\n[runtime]\nkubeconfig = "kube"\n[tls]\ncertificate = "c.pem"\n'
    )
    with pytest.raises(ConfigurationInvalid) as refused:
        read_settings(tmp_path / "danube.toml")
    assert [one.place.line for one in refused.value.findings if one.place] == [2, 4, 5, 6]


def test_a_wrong_type_does_not_hide_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "danube.toml").write_text('[config_repo]\nurl = "config"\nsync_interval = "often"\nbranhc = "x"\n')
    with pytest.raises(ConfigurationInvalid) as refused:
        read_settings(tmp_path / "danube.toml")
    assert [str(one).partition("danube.toml:")[2] for one in refused.value.findings] == [
        f"2: config_repo.url: there is no directory {tmp_path}/config",
        "3: config_repo.sync_interval must be a number of seconds, or text as 30s, 5m, 1h30m, 2d, not 'often'",
        "4: unknown field config_repo.branhc",
    ]


def test_credentials_in_the_url_of_the_configuration_are_refused(tmp_path: Path) -> None:
    (tmp_path / "danube.toml").write_text('[config_repo]\nurl = "https://me:word@git.example.org/config"\n')
    with pytest.raises(ConfigurationInvalid) as refused:
        read_settings(tmp_path / "danube.toml")
    assert "contains credentials" in str(refused.value)
    assert "word" not in str(refused.value)


@pytest.mark.parametrize("url", ["", "http://ci.example.org"])
def test_dex_needs_a_url_that_encrypts_passwords(tmp_path: Path, url: str) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "dex").touch()
    text = f'[config_repo]\nurl = "config"\n[server]\nexternal_url = "{url}"\n[dex]\nprogram = "dex"\n'
    (tmp_path / "danube.toml").write_text(text)
    with pytest.raises(ConfigurationInvalid) as refused:
        read_settings(tmp_path / "danube.toml")
    (finding,) = refused.value.findings
    assert str(finding).endswith("danube.toml:6: dex needs server.external_url, with https or on this machine")
    (tmp_path / "danube.toml").write_text(text.replace(f'"{url}"', '"https://ci.example.org"'))
    assert read_settings(tmp_path / "danube.toml").dex.program == str(tmp_path / "dex")


def test_the_keys_that_the_file_has_are_known(tmp_path: Path) -> None:
    (tmp_path / "danube.toml").write_text('[config_repo]\nurl = "."\n[server]\ndata_dir = "data"\n')
    assert {"server.data_dir", "config_repo.url"} <= read_settings(tmp_path / "danube.toml").written


@pytest.mark.parametrize(("text", "line"), [("[config_repo\n", 1), ("a = 1\nb = nope\n", 2), ("", 0)])
def test_invalid_and_empty_files_are_reported(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / "danube.toml").write_text(text)
    with pytest.raises(ConfigurationInvalid) as refused:
        read_settings(tmp_path / "danube.toml")
    place = refused.value.findings[0].place
    assert place is not None
    assert place.line == line


def test_a_missing_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    found = [str(one) for one in validate_directory(tmp_path)]
    assert found == [
        "pipelines/bad.yaml:5: unknown field extra",
        "pipelines/other.yml: this file is not read",
        "users.yaml: a symbolic link leads outside the configuration",
    ]


def test_files_that_would_be_left_out_are_named(tmp_path: Path) -> None:
    write(tmp_path, good=PIPELINE)
    (tmp_path / "pipelines" / "backend").mkdir()
    (tmp_path / "pipelines" / "backend" / "nightly.yaml").write_text(PIPELINE)
    (tmp_path / "teams.yml").write_text("")
    found = [f"{one}: {one.hint}" for one in validate_directory(tmp_path)]
    assert found == [
        "pipelines/backend/nightly.yaml: this file is not read: only the files of pipelines/ itself are read: move it there",
        "teams.yml: this file is not read: rename it: teams.yaml",
    ]


def test_an_empty_directory_has_no_configuration(tmp_path: Path) -> None:
    assert "this directory has no configuration" in str(validate_directory(tmp_path)[0])


def test_the_examples_are_valid() -> None:
    assert list(validate_directory(EXAMPLES / "config")) == []
    assert read_settings(EXAMPLES / "danube.toml").config_repo.url == str(EXAMPLES / "config")


def test_links_and_dots_do_not_lead_outside(tmp_path: Path) -> None:
    config = write(tmp_path / "config", good=PIPELINE)
    (tmp_path / "outside.yaml").write_text(PIPELINE)
    (config / "pipelines" / "up.yaml").symlink_to("../../outside.yaml")
    (config / "pipelines" / "gone.yaml").symlink_to("nowhere.yaml")
    (config / "pipelines" / "inside.yaml").symlink_to("good.yaml")
    (config / "pipelines" / "directory.yaml").mkdir()
    found = [str(one) for one in validate_directory(config)]
    assert found == [
        "pipelines/directory.yaml: this is not a regular file",
        "pipelines/gone.yaml: this is not a regular file",
        "pipelines/inside.yaml:3: there is already a Pipeline 'good', at pipelines/good.yaml:3",
        "pipelines/up.yaml: a symbolic link leads outside the configuration",
    ]


def test_config_yaml_sets_what_the_file_leaves_out() -> None:
    config = ConfigSpec(
        server=ServerSpec(bind_address="0.0.0.0:80", data_dir="/data", external_url="https://ci.example")
    )
    nothing = frozenset[str]()
    taken = effective_settings(ServerSettings(), nothing, config, nothing)
    assert (taken.bind_address, taken.data_dir) == ("0.0.0.0:80", "/var/lib/danube")
    written = ServerSettings(bind_address="127.0.0.1:1")
    assert (
        effective_settings(written, frozenset({"server.bind_address"}), config, nothing).bind_address == "127.0.0.1:1"
    )
    assert effective_settings(written, nothing, config, frozenset({"bind_address"})).bind_address == "127.0.0.1:1"


def test_pending_settings_say_what_makes_them_effective() -> None:
    spec = ServerSpec(bind_address="0.0.0.0:80", data_dir="/data", external_url="https://ci.example")
    running = ServerSettings(bind_address="127.0.0.1:1")
    pending = pending_settings(running, frozenset({"server.external_url"}), spec, frozenset())
    assert [(one.name, one.running, one.configured) for one in pending] == [
        ("server.bind_address", "127.0.0.1:1", "0.0.0.0:80"),
        ("server.data_dir", "/var/lib/danube", "/data"),
        ("server.external_url", "", "https://ci.example"),
    ]
    assert "restart the server" in pending[0].hint
    assert "move the directory" in pending[1].hint
    assert "danube.toml" in pending[2].hint
    assert "a flag" in pending_settings(running, frozenset(), spec, frozenset({"bind_address"}))[0].hint
