"""Allowlists that name a well-known service without the hosts that have its files."""

from danube_pkg.core.configuration.state import State
from danube_pkg.core.egress.policy import Policy


def services_without_files(state: State) -> tuple[str, ...]:
    """A sentence for each service of a pipeline's allowlist, or that of all pipelines, whose client needs more."""
    shared = state.config.egress_allowlist
    lists = {"config.yaml": shared}
    for name, definition in sorted(state.pipelines.items()):
        if definition.spec.egress_allowlist:
            lists[f"pipeline {name}"] = (*shared, *definition.spec.egress_allowlist)
    found = dict[str, str]()
    for place, entries in lists.items():
        for host, missing in Policy(entries).services_without_companions().items():
            found.setdefault(
                f"{host} {missing}",
                f"egress_allowlist of {place} has {host}, whose files are on other hosts; to download them add "
                f"{', '.join(missing)}",
            )
    return tuple(found.values())
