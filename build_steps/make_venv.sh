#!/bin/sh
# Makes the virtual environment $1 with a Python of 3.11 or newer. What a fresh Debian lacks for that is
# named, and installed where debian_packages.sh may do so. PYTHON=/path/to/python chooses one.
set -eu

can_make_environments() {
    command -v "$1" > /dev/null && "$1" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2> /dev/null
}

found=
find_python() {
    for python in ${PYTHON:-python3 python3.13 python3.12 python3.11 /usr/bin/python3}; do
        if can_make_environments "$python"; then
            found=$python
            return
        fi
    done
    return 1
}

if ! find_python; then
    if [ -n "${PYTHON:-}" ]; then
        echo "$PYTHON is not a Python 3.11 or newer that can make environments (modules venv and ensurepip)" >&2
        exit 1
    fi
    sh "$(dirname "$0")/debian_packages.sh" python3 python3-venv
    if ! find_python; then
        echo "Danube needs Python 3.11 or newer with the modules venv and ensurepip; none was found." >&2
        echo "  hint: make setup PYTHON=/path/to/python3" >&2
        exit 1
    fi
fi
echo "Making $1 with $("$found" --version)"
"$found" -m venv "$1"
