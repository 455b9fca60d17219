"""A server starts with the specification's own files, unmodified but for the repository's URL and the port."""

import shutil

from tests.specification.test_files import FILES, HASH, PLACEHOLDER
from tests.support.server import Installation


def test_a_server_starts_with_them(danube: Installation) -> None:
    """With the placeholder nothing is applied, and the status says why; with a hash everything is."""
    shutil.rmtree(danube.config)
    shutil.copytree(FILES, danube.config, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    text = (FILES / "danube.toml").read_text()
    (danube.path / "danube.toml").write_text(
        text.replace("git@github.com:myorg/danube-config.git", "config").replace("0.0.0.0:8080", "127.0.0.1:0")
    )
    danube.serve()
    assert "users.yaml:7" in danube.command("config", "status", check=False).stdout
    users = danube.config / "users.yaml"
    users.write_text(users.read_text().replace(PLACEHOLDER, HASH))
    danube.sync()
    assert "frontend-build" in danube.command("pipelines").stdout
