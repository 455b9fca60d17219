"""Each rule finds what it is for, and lets what is right pass."""

from collections.abc import Callable, Iterator

import pytest

from tests.tidy import rules
from tests.tidy.tree import Source

LATER = "TO" + "DO"

BAD: list[tuple[Callable[[Source], Iterator[str]], str]] = [
    (rules.unfinished, f"x = 1  # {LATER} later\n"),
    (rules.unfinished, "raise Not" + "ImplementedError\n"),
    (rules.unfinished, "pytest.sk" + "ip('not here')\n"),
    (rules.unfinished, "@pytest.mark.xf" + "ail\ndef test(): ...\n"),
    (rules.registry_host, "url = 'https://py" + "pi.org/simple'\n"),
    (rules.no_module_docstring, "x = 1\n"),
    (rules.no_docstring, "def public(): ...\n"),
    (rules.no_docstring, "class Public: ...\n"),
    (rules.no_docstring, "async def public(): ...\n"),
    (rules.swallowed, "try:\n    f()\nexcept OSError:\n    pass\n"),
    (rules.swallowed, "try:\n    f()\nexcept OSError:\n    ...\n"),
    (rules.swallowed, "with contextlib.suppress(Exception):\n    f()\n"),
    (rules.nameless_task, "asyncio.create_task(f())\n"),
    (rules.nameless_task, "group.create_task(f())\n"),
    (rules.pipes_left_open, "await asyncio.create_subprocess_exec('true', stdout=asyncio.subprocess.PIPE)\n"),
    (rules.too_new, "tar.extractall(place, filter='data')\n"),
    (rules.sleeps, "time.sleep(1)\n"),
    (rules.sleeps, "await_ = asyncio.sleep(0.1)\n"),
    (rules.reads_environment, "x = os.environ['HOME']\n"),
    (rules.reads_environment, "x = os.getenv('HOME')\n"),
    (rules.finished_later, "engine.draining = draining\n"),
    (rules.finished_later, "parts.engine.draining: Draining = draining\n"),
    (rules.finished_later, "jobs.started += 1\n"),
]

GOOD: list[tuple[Callable[[Source], Iterator[str]], str]] = [
    (rules.no_module_docstring, '"""What it is."""\n'),
    (rules.no_docstring, "def _private(): ...\nx = 1\n"),
    (rules.no_docstring, 'def public():\n    """Words."""\n'),
    (rules.swallowed, "try:\n    f()\nexcept OSError:\n    return 1\n"),
    (rules.swallowed, "with contextlib.suppress(OSError):\n    f()\n"),
    (rules.nameless_task, "group.create_task(f(), name='f')\n"),
    (rules.pipes_left_open, "await asyncio.create_subprocess_exec('true', stdout=asyncio.subprocess.DEVNULL)\n"),
    (rules.finished_later, "engine = Engine(draining)\nself.engine = engine\n"),
]


@pytest.mark.parametrize(("rule", "text"), BAD)
def test_what_is_wrong_is_found(rule: Callable[[Source], Iterator[str]], text: str) -> None:
    assert list(rule(Source("danube_pkg/core/sample.py", text)))


@pytest.mark.parametrize(("rule", "text"), GOOD)
def test_what_is_right_passes(rule: Callable[[Source], Iterator[str]], text: str) -> None:
    assert list(rule(Source("danube_pkg/core/sample.py", text))) == []
