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
    """The directory for unpacked trees: the user's own, which no other user can read or write."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # the variable's specification: a relative path is to be ignored
        base = os.path.join(os.path.expanduser("~"), ".cache")
    place = os.path.join(base, "danube")
    hint = "\n  hint: set XDG_CACHE_HOME to a directory of your own, on a disk that may hold programs"
    try:
        os.makedirs(place, 0o700, exist_ok=True)
        state = os.stat(place, follow_symlinks=False)
        if state.st_uid != os.geteuid() or state.st_mode & 0o022 or not os.path.isdir(place):
            sys.exit("danube: " + place + " must belong to you alone; hint: chmod go-w " + place + hint)
        if state.st_mode & 0o077:
            os.chmod(place, 0o700)
    except OSError as error:
        sys.exit("danube: cannot use the directory " + place + ": " + str(error.strerror) + hint)
    return place


def unpack(archive: str, tree: str) -> None:
    """Unpack beside the tree, then rename: it is complete or missing, also after two first starts at once.

    The lock and the name of an incomplete tree are those of the released program (executable/cache.h). Its holder alone
    has an incomplete tree, so one that exists was left by a killed start.
    """
    # Only the first start needs these.
    import fcntl
    import shutil
    import zipfile

    place = os.path.dirname(tree)
    made = os.path.join(place, "new")
    with open(os.path.join(place, ".lock"), "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(tree):  # another start has unpacked it meanwhile
            return
        shutil.rmtree(made, ignore_errors=True)
        # Pods have other users, and run programs of the tree; the directory above it is the owner's alone.
        before = os.umask(0o022)
        os.mkdir(made)
        with zipfile.ZipFile(archive) as outer, zipfile.ZipFile(outer.open("site.zip")) as inner:
            for member in inner.infolist():
                file = os.path.join(made, member.filename)
                os.makedirs(os.path.dirname(file), exist_ok=True)
                with inner.open(member) as source, open(file, "wb") as target:
                    shutil.copyfileobj(source, target)
                os.chmod(file, member.external_attr >> 16)
        os.umask(before)
        os.sync()  # nothing of a complete tree may be lost with the power
        os.rename(made, tree)


if __name__ == "__main__":
    main()
