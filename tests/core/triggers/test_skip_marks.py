"""`[skip ci]` counts in the subject and in the trailer, and nowhere else."""

import pytest

from danube_pkg.core.triggers.skip_marks import skip_mark


@pytest.mark.parametrize(
    ("message", "mark"),
    [
        ("docs [skip ci]", "[skip ci]"),
        ("\n\n[CI SKIP] docs\n\nbody", "[CI SKIP]"),
        ("docs\n\nbody\n\n[skip ci]", "[skip ci]"),
        ("docs\n\nSigned-off-by: a <a@b>\n[ci skip]\n", "[ci skip]"),
        ("docs\n\nbody\n\nskip-checks: true\nSigned-off-by: a <a@b>", "skip-checks: true"),
        ("docs\r\n\r\nSkip-CI: true", "Skip-CI: true"),
        ("skip ci", ""),
        ("docs\n[skip ci]", ""),
        ("docs\n\nthe mark [skip ci] skips a job", ""),
        ("docs\n\n[skip ci] was removed\n\nSigned-off-by: a <a@b>", ""),
        ("docs\n\n* fix it [skip ci]\n* fix that", ""),
        ("docs\n\nskip-checks: false", ""),
        ("", ""),
        ("\n \n", ""),
    ],
)
def test_a_mark_counts_in_the_subject_and_in_the_trailer(message: str, mark: str) -> None:
    assert skip_mark(message) == mark
