"""Makes Danube a service of a Linux server, upgrades it, and takes it away again.

`plan.py` decides purely which steps lead there. Each step can say whether it holds, make it hold, and restore what was
before. `execution.py` carries steps out and writes each into a journal first, so that an interrupted installation can
be continued or taken back. Files, users, systemd and the server are ports (`ports.py`), with an adapter each beside it.
"""
