"""The image `host`: configuration without credentials is shown, and nothing that may have some."""

from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.host_image import host_root


def test_the_configuration_of_programs_is_shown_and_what_may_have_credentials_is_not() -> None:
    shown = {path for _, path in host_root(Path("/usr"), [], user=0, host_network=False).binds}
    wanted = [f"/etc/{name}" for name in ("chromium.d", "fonts", "nsswitch.conf", "perl", "ssl/certs", "texmf")]
    present = [path for path in wanted if Path(path).exists()]
    assert present
    assert set(present) <= shown
    assert not shown & {"/etc", "/etc/environment", "/etc/pip.conf", "/etc/shadow", "/etc/ssl", "/etc/ssl/private"}
