#!/bin/sh
# Downloads Danube, verifies it, and installs it as a service:  curl -fsSL URL/install.sh | sudo sh
# Options are those of `danube install`:                         curl -fsSL URL/install.sh | sudo sh -s -- --yes
#
# Everything is a function that the last line calls, so that a download that was cut off runs nothing. The program itself
# writes /usr/local/bin/danube, with a journal by which `danube uninstall` takes it away again.
set -eu

# A build that publishes this script fills in both; DANUBE_URL and DANUBE_KEY (a file) take precedence.
URL=''
KEY=''

fail() {
    printf 'danube: %s\n  hint: %s\n' "$1" "$2" >&2
    exit 1
}

name_of_program() {
    [ "$(uname -s)" = Linux ] || fail "this is $(uname -s); Danube needs Linux" "use a Linux of 5.10 or newer"
    case "$(uname -m)" in
    x86_64 | amd64) echo danube-linux-x86_64 ;;
    aarch64 | arm64) echo danube-linux-aarch64 ;;
    *) fail "there is no Danube for $(uname -m)" "use a machine with x86_64 or aarch64" ;;
    esac
}

download() { # URL FILE
    if command -v curl >/dev/null; then
        curl --fail --silent --show-error --location --retry 3 --output "$2" "$1"
    elif command -v wget >/dev/null; then
        wget --quiet --tries=3 --output-document="$2" "$1"
    else
        fail "neither curl nor wget is installed" "apt-get install curl"
    fi || fail "$1 cannot be downloaded" "check the network, or copy the files by hand and run: ./danube install"
}

# The signature is that of the list of checksums (Ed25519), and the list has the program's.
verify() { # DIRECTORY PROGRAM
    case "$(openssl version 2>/dev/null)" in
    'OpenSSL '[3-9]* | 'OpenSSL '[1-9][0-9]*) ;;
    *) fail "OpenSSL 3 or newer is needed to verify the signature" "apt-get install openssl" ;;
    esac
    openssl pkeyutl -verify -pubin -inkey "$1/key.pem" -rawin -in "$1/SHA256SUMS" -sigfile "$1/SHA256SUMS.sig" >/dev/null 2>&1 ||
        fail "the signature of SHA256SUMS is wrong" "download again; do not install what you have"
    (cd "$1" && grep -E "^[0-9a-f]{64} [ *]$2\$" SHA256SUMS >wanted && sha256sum --check --status wanted) ||
        fail "$2 is not what SHA256SUMS says" "download again; do not install what you have"
}

main() {
    [ "$(id -u)" = 0 ] || fail "only root can install Danube" "run it with sudo"
    url=${DANUBE_URL:-$URL}
    [ -n "$url" ] || fail "this script does not know where releases are" "set DANUBE_URL to the directory of a release"
    program=$(name_of_program)
    directory=$(mktemp -d "${TMPDIR:-/var/tmp}/danube-install.XXXXXX")
    trap 'rm -rf "$directory"' EXIT
    trap 'exit 1' HUP INT TERM
    if [ -n "${DANUBE_KEY:-}" ]; then
        cp "$DANUBE_KEY" "$directory/key.pem"
    else
        [ -n "$KEY" ] || fail "this script has no key of releases" "set DANUBE_KEY to a file with the public key"
        printf '%s\n' "$KEY" >"$directory/key.pem"
    fi
    for file in SHA256SUMS SHA256SUMS.sig "$program"; do
        download "$url/$file" "$directory/$file"
    done
    verify "$directory" "$program"
    chmod 755 "$directory/$program"
    # Questions are asked at the terminal: standard input is this script.
    if [ ! -t 0 ] && [ -t 1 ] && (: </dev/tty) 2>/dev/null; then
        "$directory/$program" install "$@" </dev/tty
    else
        "$directory/$program" install "$@"
    fi
}

main "$@"
