"""Suites that every implementation of a port passes, the fake included, so that a fake cannot drift from the real one.

`test_runtime_contract.py` holds `core.runtimes.ports.Runtime`, `test_steps_contract.py` the supervisor in its
containers; both run over each runtime in `conftest.py`. `test_real_containers.py` runs over those whose containers
hold real processes.
"""
