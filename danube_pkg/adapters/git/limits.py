"""Bounds that both the server and its worker use, without an import of dulwich, which the server does not need."""

CHUNK_BYTES = 256 * 1024
"""Most bytes of one read from the worker: a pipe holds 64 KiB, the coordinator's messages carry four chunks."""

MAX_FILES = 200_000
"""Ten times the largest repositories that build on one machine; more is probably a home directory, taken by mistake."""

MAX_TREE_BYTES = 8 * 1024**3

MAX_BLOB_BYTES = 512 * 1024**2
"""One file from Git: dulwich holds it in memory as a whole."""

MAX_PACK_BYTES = 4 * 1024**3
"""One fetch: a single commit of the largest repositories is smaller."""

NETWORK_TIMEOUT_SECONDS = 60.0
"""Silence of a server: a large pack is prepared in less; after it, the connection counts as hanging."""

DEEPENING = (50, 1000)
"""Depths of history that are fetched where a server refuses single commits: enough to find one of the last weeks."""

MAX_PACKS = 60
"""Packs of one mirror, one a fetch. A mirror with more is deleted: fetching is faster than searching all of them."""

MAX_HISTORY_OBJECTS = 500_000
"""Commits, directories and files of a job's history: a million lines of code in twenty years have fewer."""

MAX_HISTORY_BYTES = 2 * 1024**3

MAX_HISTORY_TAGS = 2000
"""The nearest tags that a job gets: `git describe` needs one."""

MAX_SUBMODULES = 100
MAX_SUBMODULE_DEPTH = 5
"""Submodules of submodules: deeper is a cycle."""

MAX_WANTED_FILE_BYTES = 1024**2
"""One file that is read alone: a configuration file or a danubefile is smaller."""

MAX_WANTED_FILES = 10_000
"""Files that one pattern may match in a directory of one commit."""

LFS_POINTER_BYTES = 1024
"""A Git LFS pointer is shorter (git-lfs, docs/spec.md)."""

NOTICE = "danube-notice: "
"""Starts a line of the worker's standard error that holds a sentence for the job's page, as JSON."""

MAX_CHANGED_FILES = 10_000
"""Files of one pull request; beyond it every filter counts as met."""
