"""Makes the coordinator image from the program that runs: collects its files, and writes them as an OCI archive.

It needs no Docker and no registry, and must not know jobs or runtimes: `core/images/coordinator.py` says what the image
is called, `adapters/programs.py` which Python and which packages this program has.
"""
