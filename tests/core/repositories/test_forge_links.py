"""Links to commits and files, for each forge and for unknown hosts."""

import pytest

from danube_pkg.core.repositories.forge_links import forge_pages
from danube_pkg.core.repositories.git_authentication import GitlabToken, HttpsToken

SHA = "c0ffee" + "0" * 34


@pytest.mark.parametrize(
    ("repository", "commit", "file"),
    [
        ("https://github.com/team/app.git", "https://github.com/team/app/commit/", "https://github.com/team/app/blob/"),
        ("git@github.com:team/app.git", "https://github.com/team/app/commit/", "https://github.com/team/app/blob/"),
        (
            "ssh://git@gitlab.example.org:2222/group/sub/app",
            "https://gitlab.example.org/group/sub/app/-/commit/",
            "https://gitlab.example.org/group/sub/app/-/blob/",
        ),
        (
            "https://user:password@codeberg.org/team/app",
            "https://codeberg.org/team/app/commit/",
            "https://codeberg.org/team/app/src/commit/",
        ),
        (
            "http://gitea.example.org:3000/team/app",
            "http://gitea.example.org:3000/team/app/commit/",
            "http://gitea.example.org:3000/team/app/src/commit/",
        ),
    ],
)
def test_commits_and_lines_of_files_have_links(repository: str, commit: str, file: str) -> None:
    pages = forge_pages(repository)
    assert pages is not None
    assert pages.commit(SHA) == commit + SHA
    assert pages.file(SHA, "pipelines/my app.yaml", 3) == f"{file}{SHA}/pipelines/my%20app.yaml#L3"
    assert pages.commit("dir-0123") == ""
    assert pages.file(SHA, "") == ""
    assert "password" not in pages.address


@pytest.mark.parametrize(
    "repository",
    [
        "/srv/repositories/app",
        "https://git.example.org/team/app",
        "javascript:alert(1)",
        "https://[nowhere/app",
        "https://github.com/",
    ],
)
def test_other_repositories_have_no_links(repository: str) -> None:
    assert forge_pages(repository) is None


def test_a_rule_with_an_api_decides_the_forge_of_a_host() -> None:
    rules = (
        GitlabToken("gl", "https://code.example.org", "token", ("code.example.org/*",)),
        HttpsToken("gt", "token", ("git.example.org/*",), forge="gitea"),
    )
    for host, middle in (("code", "/-/commit/"), ("git", "/commit/")):
        pages = forge_pages(f"https://{host}.example.org/team/app", rules)
        assert pages is not None
        assert pages.commit(SHA) == f"https://{host}.example.org/team/app{middle}{SHA}"
