"""Which job's pod a connection is from: by its address in the cluster's network, as far as the runtime has seen it, or
by the name that the machine's own socket of a pod has for it.

It is a further check beside a credential, never a replacement: behind address translation a pod has another address,
which is unknown here, and then the credential alone decides.
"""

from collections.abc import Collection

_JOB = "job="


def job_address(job_id: str) -> str:
    """The address of a pod on this machine, whose socket is known to be that job's."""
    return f"{_JOB}{job_id}"


class PodAddresses:
    """Filled by the runtime, asked by the servers that pods connect to."""

    def __init__(self) -> None:
        self._jobs: dict[str, str] = {}

    def assign(self, address: str, job_id: str) -> None:
        """The job's pod has this address. An address that a later pod is given is the later one's."""
        self._jobs[address] = job_id

    def release(self, job_id: str) -> None:
        """The job's pod is gone."""
        self._jobs = {address: owner for address, owner in self._jobs.items() if owner != job_id}

    def job_at(self, address: str) -> str | None:
        """The job whose pod has that address; None for any other."""
        return address.removeprefix(_JOB) if address.startswith(_JOB) else self._jobs.get(address)

    def of_job(self, job_id: str) -> Collection[str]:
        """The known addresses of a job's pod."""
        return tuple(address for address, owner in self._jobs.items() if owner == job_id)
