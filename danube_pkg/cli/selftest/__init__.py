"""`danube selftest`: real jobs on a server of its own, faults injected into it, and what must hold afterwards.

Everything is in one scratch directory and on loopback. Faults go to processes, disks and listeners that the self-test
has made: nothing of another server, of the machine's disks or of its network is touched.
"""
