"""Whatever the configuration's files hold, reading them gives findings: no exception of the reader, and no finding that
stands for one."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from danube_pkg.adapters.configuration import read_directory, read_settings
from danube_pkg.adapters.configuration.directory import ConfigurationDirectory
from danube_pkg.core.configuration.reader import read_configuration
from danube_pkg.core.configuration.settings import ConfigRepository
from danube_pkg.core.configuration.state import State
from danube_pkg.core.documents.marked import DEFECT_REFERENCE
from danube_pkg.core.errors import ConfigurationInvalid, Invalid
from tests.core.configuration.test_configuration import GOOD
from tests.fakes.sources import FakeSources

BOM = "\ufeff"
HEADER = "apiVersion: danube.dev/v1\nkind: Pipeline\nmetadata: {name: one}\nspec: {repository: /srv/one}\n"

ACCEPTED = {
    "border at the end": HEADER + "---\n",
    "border without a line break": HEADER + "---",
    "two borders": HEADER + "---\n---\n",
    "border with a comment": HEADER + "--- #x\n",
    "end mark": HEADER + "...\n",
    "end mark and border": HEADER + "...\n---\n",
    "byte order mark": BOM + HEADER,
    "carriage returns": HEADER.replace("\n", "\r\n") + "---\r\n",
}
"""Files with one pipeline."""

EMPTY = ["", " ", "\n\n   \n", "# only a comment\n", "---", "---\n---\n", "--- #x\n", BOM]

REFUSED = [
    b"\0",
    b"...",
    f"# a\x0c\x1cb\n{HEADER}---\n".encode(),
    b"\x7fELF\x02\x01\x01\0\xff\xfe",
    b"\xff\xfea\0p\0i\0",
    f"{HEADER}---\n{BOM}{HEADER}".encode(),
    HEADER.replace("/srv/one", "http://[x").encode(),
    HEADER.replace("/srv/one", '"a\\0b"').encode(),
    *(
        f"{HEADER}  {value}\n".replace(
            "{repository: /srv/one}\n", "\n  repository: /srv/one\n  branch_filter: "
        ).encode()
        for value in ('!!int ""', '!!float ""', "!!bool perhaps", "!!int x", "&a [*a]", f"1{':59' * 400}.5", "9" * 5000)
    ),
]

LINES = [
    "---",
    "...",
    "--- #x",
    "",
    "\t",
    "? [a]",
    "- *x",
    "<<: 1",
    "a: &a {b: *a}",
    "\x00",
    BOM,
    "!!set {a}",
    "0x",
    '"',
]


def found(path: Path) -> tuple[State | None, tuple[Invalid, ...]]:
    state, findings = read_configuration(read_directory(path))
    assert [str(one) for one in findings if one.reference == DEFECT_REFERENCE] == []
    assert (state is None) == bool(findings)
    return state, findings


def write(path: Path, content: bytes) -> Path:
    (path / "pipelines").mkdir(exist_ok=True)
    (path / "pipelines" / "x.yaml").write_bytes(content)
    return path


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
def test_empty_documents_and_marks_beside_a_pipeline_are_ignored(tmp_path: Path, text: str) -> None:
    state, _ = found(write(tmp_path, text.encode()))
    assert state is not None
    assert [*state.pipelines] == ["one"]
    assert "repository: /srv/one" in state.pipelines["one"].text


@pytest.mark.parametrize("text", EMPTY)
def test_a_file_without_a_document_is_ignored(tmp_path: Path, text: str) -> None:
    state, _ = found(write(tmp_path, text.encode()))
    assert state == State()


@pytest.mark.parametrize("content", REFUSED, ids=range(len(REFUSED)))
def test_what_is_not_a_configuration_is_a_finding(tmp_path: Path, content: bytes) -> None:
    _, findings = found(write(tmp_path, content))
    assert findings
    assert all(str(one) for one in findings)


def test_what_is_not_a_file_is_a_finding(tmp_path: Path) -> None:
    write(tmp_path, HEADER.encode())
    (tmp_path / "users.yaml").mkdir()
    (tmp_path / "teams.yaml").symlink_to("nowhere")
    (tmp_path / "config.yaml").symlink_to("config.yaml")
    (tmp_path / "pipelines" / "directory.yaml").mkdir()
    _, findings = found(tmp_path)
    names = [str(one.place) for one in findings]
    assert names == ["config.yaml", "pipelines/directory.yaml", "teams.yaml", "users.yaml"]


def variants(seed: int, count: int) -> Iterator[str]:
    """Truncated, doubled, shortened, reordered and mixed forms of a valid file."""
    chosen = random.Random(seed)
    for _ in range(count):
        lines = GOOD.splitlines()
        for _ in range(chosen.randint(1, 4)):
            at = chosen.randrange(len(lines))
            match chosen.randrange(6):
                case 0:
                    lines = [*lines[:at], lines[at][: chosen.randrange(len(lines[at]) + 1)]]
                case 1:
                    lines.insert(at, lines[at])
                case 2:
                    lines[at] = " " + lines[at]
                case 3:
                    lines.insert(at, chosen.choice(LINES))
                case 4:
                    lines[at] = lines[at].replace(
                        chosen.choice('{}[]":,.&*'), chosen.choice(["", "{", "]", "\n", "\x85"])
                    )
                case _:
                    chosen.shuffle(lines)
            lines = lines or [""]
        yield "\n".join(lines)


@pytest.mark.parametrize("seed", range(4))
def test_no_variant_of_a_valid_file_fails_the_reader(tmp_path: Path, seed: int) -> None:
    for text in variants(seed, 60):
        found(write(tmp_path, text.encode()))


async def test_a_server_reads_the_same_from_its_directory(tmp_path: Path) -> None:
    source = ConfigurationDirectory(ConfigRepository(str(write(tmp_path, (HEADER + "---\n").encode()))), FakeSources())
    files = await source.read()
    assert files is not None
    assert read_configuration(files)[1] == ()


@pytest.mark.parametrize(
    "text",
    [
        "[config_repo]\nurl = '~no-such-user/x'\n",
        "[config_repo]\nurl = 'https://git.example.org:port/x'\n",
        "[config_repo]\nurl = 'http://[x'\n",
        "[config_repo]\nurl = 'a\\u0000b'\n",
        '[config_repo]\nurl = "a\\u0000b"\n',
        "a = " + "[" * 3000,
        "a = 1979-05-27T07:32:00Z\n[config_repo]\nurl = 2020-01-01\n",
        "[server]\nexternal_url = 'https://['\n[dex]\nprogram = 'x'\n[config_repo]\nurl = '.'\n",
        BOM + "[config_repo\n",
    ],
    ids=range(9),
)
def test_whatever_danube_toml_holds_is_a_finding(tmp_path: Path, text: str) -> None:
    (tmp_path / "danube.toml").write_text(text)
    with pytest.raises(ConfigurationInvalid) as refused:
        read_settings(tmp_path / "danube.toml")
    assert all(one.place for one in refused.value.findings)
    assert DEFECT_REFERENCE not in [one.reference for one in refused.value.findings]
