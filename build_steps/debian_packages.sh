#!/bin/sh
# Checks that the named Debian packages are installed, and names those that are missing. Only root can install them, and only
#   with INSTALL=1 or in continuous integration (CI is set),
#   after a yes to the question, where there is a terminal to ask at,
#   or where there is none, which is a container or a script. INSTALL=0 forbids it everywhere.
set -eu

if ! command -v dpkg-query > /dev/null; then
    echo "This is not a Debian system. The programs of these packages are needed: $*" >&2
    exit 0
fi
missing=
for package in "$@"; do
    status=$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2> /dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

may_install() {
    [ "$(id -u)" -eq 0 ] || return 1
    case "${INSTALL:-}" in
        1) return 0 ;;
        0) return 1 ;;
    esac
    if [ -n "${CI:-}" ] || ! [ -t 0 ] || ! [ -t 2 ]; then
        return 0
    fi
    printf 'Install them with apt-get? [y/N] ' >&2
    read -r answer
    [ "$answer" = y ] || [ "$answer" = yes ]
}

echo "Missing Debian packages:$missing" >&2
if ! may_install; then
    echo "  hint: sudo apt-get install$missing" >&2
    exit 1
fi
echo "Installing Debian packages:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet=2
# shellcheck disable=SC2086 - the names are words
apt-get install --quiet=2 --yes --no-install-recommends $missing > /dev/null
