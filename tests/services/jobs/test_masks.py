"""What the log of a job masks beside secrets, by the settings of the server."""

from pathlib import Path

import pytest

from danube_pkg.adapters.keys.keys import Keys
from danube_pkg.adapters.store import SqliteJobs
from danube_pkg.services.jobs.masks import MaskOptions, MaskSource
from danube_pkg.services.secrets import KnownValues
from tests.services.jobs.test_submodules import SECRET, OneSecret
from tests.services.stores import a_job, open_database

FORGE = b"ghp_0123456789abcdef0123456789abcdef0123"
ADDRESS = b"bob@example.com"


@pytest.mark.parametrize(
    ("options", "clear"),
    [
        (MaskOptions(), {ADDRESS}),
        (MaskOptions(token_formats=False), {FORGE, ADDRESS}),
        (MaskOptions(emails=True), set()),
    ],
)
async def test_formats_and_addresses_are_masked_as_the_settings_say(
    tmp_path: Path, options: MaskOptions, clear: set[bytes]
) -> None:
    async with open_database(tmp_path) as database:
        masks = MaskSource(SqliteJobs(database), OneSecret(), Keys(bytes(32)), KnownValues(), options)
        patterns = await masks.patterns(a_job())
        out, _ = patterns.mask(b"%s %s %s\n" % (FORGE, ADDRESS, SECRET), final=True)
    assert {one for one in (FORGE, ADDRESS, SECRET) if one in out} == clear
