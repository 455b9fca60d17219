"""The first module of a zipapp: unpacks it once, then runs from there.

It becomes the archive's `__main__.py`, with the three constants filled in. It imports very little, because each start
of `danube` pays for that, and uses old syntax, so that a Python that is too old for Danube can report that.
"""

import os
import sys

CONTENT = ""
PYTHON = ""
MACHINE = ""


def main() -> None:
    """Run the command line from the unpacked tree."""
    python, machine = "cp{}{}".format(*sys.version_info[:2]), os.uname().machine
    if (python, machine) != (PYTHON, MACHINE):
        sys.exit(f"danube: this file is for Python {PYTHON} on {MACHINE}, and this is {python} on {machine}")
    tree = os.path.join(cache(), CONTENT)
    if not os.path.isdir(tree):
        unpack(os.path.dirname(os.path.abspath(__file__)), tree)
    sys.path[0] = tree
    # Only this tree has it.
    from danube_pkg.cli.main import script

    script()


def cache() -> str:
    """The directory for unpacked trees: the user's own, which no other user can write."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    place = os.path.join(base, "danube")
    os.makedirs(place, 0o700, exist_ok=True)
    state = os.stat(place)
    if state.st_uid != os.geteuid() or state.st_mode & 0o022:
        sys.exit(f"danube: {place} must belong to you alone; hint: chmod go-w {place}, or set XDG_CACHE_HOME")
    return place


def unpack(archive: str, tree: str) -> None:
    """Unpack beside the tree, then rename: it is complete or missing, also after two first starts at once."""
    # Only the first start needs these.
    import shutil
    import tempfile
    import zipfile

    made = tempfile.mkdtemp(dir=os.path.dirname(tree), prefix="new-")
    try:
        with zipfile.ZipFile(archive) as outer, zipfile.ZipFile(outer.open("site.zip")) as inner:
            for member in inner.infolist():
                place = os.path.join(made, member.filename)
                os.makedirs(os.path.dirname(place), exist_ok=True)
                with inner.open(member) as source, open(place, "wb") as target:
                    shutil.copyfileobj(source, target)
                os.chmod(place, member.external_attr >> 16)
        os.chmod(made, 0o755)
        try:
            os.rename(made, tree)
        except OSError:
            if not os.path.isdir(tree):
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)


if __name__ == "__main__":
    main()
