"""How a job on a network uses the proxy, and that its password is in no log."""

import base64
from pathlib import Path

from danube_pkg.adapters.egress.ledgers import FileLedgers
from danube_pkg.adapters.keys.keys import Keys
from danube_pkg.adapters.store import SqliteJobs
from danube_pkg.core.egress.credentials import NetworkAccess
from danube_pkg.core.runtimes.pods import Network
from danube_pkg.kit.records import replace
from danube_pkg.services.egress import Egress, NetworkEgress
from danube_pkg.services.jobs.masks import MaskOptions, MaskSource
from danube_pkg.services.secrets import KnownValues
from tests.fakes.egress import NoProxies
from tests.services.jobs.test_submodules import OneSecret
from tests.services.stores import a_job, open_database

KEYS = Keys(bytes(32))


def test_each_step_has_the_jobs_credential_in_its_variables(tmp_path: Path) -> None:
    job = a_job()
    allowed = replace(job, settings=replace(job.settings, network=Network.ALLOWLIST))
    hermetic = replace(job, settings=replace(job.settings, network=Network.NONE))
    network = NetworkEgress(NetworkAccess("10.0.0.1:31280"), KEYS)
    egress = Egress(NoProxies(), FileLedgers(tmp_path), OneSecret(), network)
    password = KEYS.egress_password(job.id)
    assert egress.environment(allowed, 4)["HTTPS_PROXY"] == f"http://{job.id}.4:{password}@10.0.0.1:31280"
    assert egress.environment(hermetic, 4) == {}
    assert KEYS.egress_password("another") != password
    sandbox = Egress(NoProxies(), FileLedgers(tmp_path), OneSecret())
    assert "@" not in sandbox.environment(allowed, 4)["HTTPS_PROXY"]


async def test_the_password_is_masked_in_the_log_and_in_the_ledger(tmp_path: Path) -> None:
    job = a_job()
    async with open_database(tmp_path) as database:
        jobs = SqliteJobs(database)
        await jobs.create_jobs([job])
        masks = MaskSource(jobs, OneSecret(), KEYS, KnownValues(), MaskOptions())
        password = KEYS.egress_password(job.id)
        header = base64.b64encode(f"{job.id}.4:{password}".encode()).decode()
        text = f"https_proxy=http://{job.id}.4:{password}@10.0.0.1:31280\nProxy-Authorization: Basic {header}\n"
        masked, _ = (await masks.patterns(job)).mask(text.encode(), final=True)
        assert password.encode() not in masked
        assert header.encode() not in masked
        assert password.lower() in await masks.host_forms(job.id)
