"""Images on this machine: registries, archives, unpacking, the store.

It must not know jobs or runtimes: `services/images/pulls.py` decides what is pulled, `core/images/reference.py` what
it is.
"""
