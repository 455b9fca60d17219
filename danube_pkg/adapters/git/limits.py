"""Bounds that both the server and its worker know; apart, so that the server does not load dulwich for them."""

CHUNK_BYTES = 256 * 1024
"""What one read from the worker gives at most: a pipe holds 64 KiB, the coordinator's messages carry four of these."""

MAX_FILES = 200_000
"""Ten times the largest repositories that build on one machine; a directory with more is somebody's home by mistake."""

MAX_TREE_BYTES = 8 * 1024**3

MAX_BLOB_BYTES = 512 * 1024**2
"""One file from Git: dulwich holds it in memory as a whole."""

MAX_PACK_BYTES = 4 * 1024**3
"""One fetch. A single commit of the largest repositories is below it; a server that sends more is not meant to build."""

NETWORK_TIMEOUT_SECONDS = 60.0
"""Silence of a server. A large pack is prepared in less; what takes longer is a hanging connection."""

DEEPENING = (50, 1000)
"""Depths of history that are fetched where a server gives out no single commit: enough to find one of the last weeks."""

MAX_PACKS = 60
"""In one mirror, one a fetch; beyond it looking for an object takes longer than fetching anew, so the mirror begins again."""

MAX_SUBMODULES = 100
MAX_SUBMODULE_DEPTH = 5
"""Submodules of submodules: deeper is a cycle."""

MAX_WANTED_FILE_BYTES = 1024**2
"""One file that is read alone (configuration, a danubefile); what is larger is not what it says it is."""

MAX_WANTED_FILES = 10_000
"""Of one directory of one commit."""

LFS_POINTER_BYTES = 1024
"""A Git LFS pointer is shorter (git-lfs, docs/spec.md)."""

NOTICE = "danube-notice: "
"""Begins a line of the worker's standard error that is a sentence for the job's page, as JSON."""

MAX_CHANGED_FILES = 10_000
"""Of one proposal; beyond it every filter counts as met."""
