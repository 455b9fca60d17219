"""Images on this machine: pulled from registries, read from archives, unpacked, kept.

It must not know jobs or runtimes; which image is wanted when is `services/images/pulls.py`, what it means `core/images/reference.py`.
"""
