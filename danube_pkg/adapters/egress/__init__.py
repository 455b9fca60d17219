"""Egress of pods: the proxy, which is a process of its own, and the server's side that starts it and reads its ledger.

`program` and its imports run in the proxy, without rights and without the server's data; `proxies` and `ledgers` run in
the server. Decisions are in `core.egress.policy`; this package must not know a job's state.
"""

from danube_pkg.adapters.egress.ledgers import FileLedgers
from danube_pkg.adapters.egress.proxies import EgressProxyPool, EgressSettings, proxy_command

__all__ = ["EgressProxyPool", "EgressSettings", "FileLedgers", "proxy_command"]
