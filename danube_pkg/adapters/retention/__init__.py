"""The files of ended jobs: what is on the disk, and its removal."""
