"""Egress of pods: the proxy, which is a process of its own, and the server's side that starts it and reads its ledger.

`program` and its imports run in the proxy, without rights and without the server's data; `proxies` and `ledgers` run in
the server. Decisions are in `core.egress.policy`; this package must not know a job's state.

Nothing is imported here: each start of a proxy would import the server's side with it.
"""
