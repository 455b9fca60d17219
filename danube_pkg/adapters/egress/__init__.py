"""The way out of pods: a proxy that is a process of its own, and what the server needs to start it and to read its ledger.

`program` and what it imports run in the proxy, without rights and without the server's data; `proxies` and `ledgers` run in
the server. Decisions are `core.egress.policy`; nothing here knows a job's state.
"""

from danube_pkg.adapters.egress.ledgers import FileLedgers
from danube_pkg.adapters.egress.proxies import EgressProxyPool, EgressSettings, proxy_command

__all__ = ["EgressProxyPool", "EgressSettings", "FileLedgers", "proxy_command"]
