#!/bin/sh
# Sees to it that the named Debian packages are there: installs what is missing as root, otherwise says what to install.
set -eu

if ! command -v dpkg-query > /dev/null; then
    echo "This is no Debian; what is needed are the programs of its packages: $*" >&2
    exit 0
fi
missing=
for package in "$@"; do
    status=$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2> /dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "Missing Debian packages:$missing" >&2
    echo "  hint: sudo apt-get install$missing" >&2
    exit 1
fi
echo "Installing Debian packages:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet=2
# shellcheck disable=SC2086 - the names are words
apt-get install --quiet=2 --yes --no-install-recommends $missing > /dev/null
