"""`danube.toml`: settings that are refused at start, with their line and what fixes them."""

from pathlib import Path

import pytest

from danube_pkg.adapters.configuration.toml import read_settings
from danube_pkg.core.errors import ConfigurationInvalid


def written(path: Path, server: str) -> Path:
    (path / "config").mkdir()
    file = path / "danube.toml"
    file.write_text(f'[config_repo]\nurl = "config"\n\n[server]\n{server}\n')
    return file


def test_networks_of_proxies_are_read(tmp_path: Path) -> None:
    settings = read_settings(written(tmp_path, 'trusted_proxies = ["10.0.0.0/8", "2001:db8::1"]'))
    assert settings.server.trusted_proxies == ("10.0.0.0/8", "2001:db8::1")


@pytest.mark.parametrize(
    ("server", "what"),
    [
        ('external_url = "https://ci.example.org/danube"', "without a path"),
        ('trusted_proxies = ["10.0.0.0/40"]', "10.0.0.0/40"),
        ('trusted_proxies = ["10.0.0.1/8"]', "has host bits set"),
        ('trusted_proxies = ["proxy.example.org"]', "an IP address or a network"),
    ],
)
def test_what_would_not_work_behind_a_proxy_is_refused_with_its_line(tmp_path: Path, server: str, what: str) -> None:
    with pytest.raises(ConfigurationInvalid) as refused:
        read_settings(written(tmp_path, server))
    (finding,) = refused.value.findings
    assert what in str(finding)
    assert finding.place is not None
    assert finding.place.line == 5
    assert finding.hint
