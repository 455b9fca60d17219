"""`[egress]` of danube.toml: how pods connect to the outside."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from danube_pkg.core.documents import patterns
from danube_pkg.core.documents.marked import rule
from danube_pkg.kit.records import Record, field


class Unenforced(StrEnum):
    """What becomes of a job whose pod can pass by the egress proxy."""

    REFUSE = "refuse"
    WARN = "warn"


class EgressSection(Record):
    """`[egress]`: how names are resolved for pods, and how pods of a cluster reach the proxy."""

    hosts: Annotated[
        Mapping[str, str],
        rule(
            "Addresses of names for pods, which override this machine's resolver, as /etc/hosts does. An address of"
            " a private network must be in the allowlist as well.",
            pattern=r"[0-9A-Fa-f:.]+",
            expects="an IP address",
            example="10.1.2.3",
            restart=True,
        ),
    ] = field(default_factory=dict)
    bind_address: Annotated[
        str,
        rule(
            "The address on which the egress proxy serves pods of a cluster; empty: port 31280 of the host of"
            " server.grpc_address.",
            restart=True,
            **(patterns.maybe_address | {"example": "0.0.0.0:31280"}),
        ),
    ] = ""
    advertise_address: Annotated[
        str,
        rule(
            "The address by which pods of a cluster reach bind_address; empty: its port at the host of"
            " server.advertise_address. A name is resolved by the server, since pods have no DNS.",
            restart=True,
            **(patterns.maybe_address | {"example": "10.1.2.3:31280"}),
        ),
    ] = ""
    translated_networks: Annotated[
        tuple[str, ...],
        rule(
            "Networks from which connections of pods come beside the pods' own addresses: those of the nodes, where the"
            " cluster translates addresses. From there the job's credential alone decides.",
            most=32,
            restart=True,
            **patterns.network,
        ),
    ] = ()
    canary_address: Annotated[
        str,
        rule(
            "A port of this server that pods of a cluster must not reach: no step starts while one can. Empty: any free"
            " port of the host of server.grpc_address. Not one of the cluster's node ports (30000 to 32767), which some"
            " controllers of policies leave open.",
            restart=True,
            **(patterns.maybe_address | {"example": "0.0.0.0:9095"}),
        ),
    ] = ""
    canaries: Annotated[
        tuple[str, ...],
        rule(
            "Further ports that pods of a cluster must not reach, such as one in a pod of Danube's own.",
            most=16,
            restart=True,
            **(patterns.address | {"example": "10.43.0.51:31281"}),
        ),
    ] = ()
    unenforced: Annotated[
        Unenforced,
        rule("What becomes of jobs in a cluster that does not enforce network policies: refuse them, or warn."),
    ] = Unenforced.REFUSE
