# Tries each way of a program in a container to what is not its own, and prints a line for each: NAME refused|reached.
#
# `targets` has what is known to an attacker who knows everything but the secrets: DATA, PORT, FILES, PROCESSES, SOCKETS.
# `control` is a file of this container: each way to a file leads there, or the way shows nothing.
here=$(pwd)
. "$here/targets"
reach=$here/reach

report() { # NAME COMMAND...: reached where the command prints something
    name=$1
    shift
    if [ "$("$@" 2>/dev/null </dev/null | wc -c)" -gt 0 ]; then echo "WAY $name reached"; else echo "WAY $name refused"; fi
}

calls() { # NAME COMMAND...: reached where the command succeeds
    name=$1
    shift
    if "$@" >/dev/null 2>&1 </dev/null; then echo "WAY $name reached"; else echo "WAY $name refused"; fi
}

by_link() { ln -sf "$1" "$here/link" && cat "$here/link"; rm -f "$here/link"; }
by_name() { rm -f "$here/other-name"; ln "$1" "$here/other-name" && cat "$here/other-name"; rm -f "$here/other-name"; }
by_processes() { for one in /proc/[0-9]*; do cat "$one/root$1" "$one/cwd/$1"; done; }
by_climbing() {
    up=
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
        up=../$up
        cat "$up${1#/}" "$up${1#"$DATA"/}"
    done
}
by_descriptors() { for one in /proc/[0-9]*/fd/*; do readlink "$one"; done | grep -F "$1"; }
by_mount() { mkdir -p "$here/mounted" && mount --bind "${1%/*}" "$here/mounted" && cat "$here/mounted/${1##*/}"; }
by_namespace() { unshare -Ur cat "$1" || nsenter -t 1 -m cat "$1"; }
by_search() { find / -name "${1##*/}" -path "*${1#"$2"}" -type f -exec cat {} + ; }

files() { # LABEL PATH BASE
    report "$1/path" cat "$2"
    report "$1/link" by_link "$2"
    report "$1/hard-link" by_name "$2"
    report "$1/processes" by_processes "$2"
    report "$1/climbing" by_climbing "$2"
    report "$1/search" by_search "$2" "$3"
}

echo control > "$here/control"
files control "$here/control" "$here"
for file in $FILES; do
    label=${file#"$DATA"/}
    files "$label" "$file" "$DATA"
    report "$label/descriptors" by_descriptors "$file"
    report "$label/mount" by_mount "$file"
    report "$label/namespace" by_namespace "$file"
done
report data-directory/list ls -A "$DATA"
calls data-directory/handle "$reach" handle /
for device in /dev/mem /dev/kmem /proc/kcore /dev/sda /dev/vda /dev/nvme0n1; do report "device$device" head -c 8 "$device"; done
calls device/made mknod "$here/device" b 254 0
for setting in kernel/core_pattern kernel/modprobe fs/binfmt_misc/register; do
    calls "setting/$setting" sh -c "echo '|/bin/true' > /proc/sys/$setting"
done

"$reach" control | while read -r call; do echo "CALL $call"; done
for process in 1 $PROCESSES; do
    label=process/$process
    for call in seize attach readv pidfd; do calls "$label/$call" "$reach" "$call" "$process"; done
    report "$label/environment" cat "/proc/$process/environ"
    report "$label/memory" head -c 1 "/proc/$process/mem"
    report "$label/maps" cat "/proc/$process/maps"
    report "$label/root" ls "/proc/$process/root/"
done
for process in $PROCESSES; do
    calls "process/$process/signal" kill -0 "$process"
    report "process/$process/descriptors" ls "/proc/$process/fd"
done
calls process/1/write sh -c 'printf forged > /proc/1/fd/1 || printf forged > /proc/1/fd/3'

for socket in $SOCKETS; do
    calls "socket/${socket#"$DATA"/}" "$reach" unix "$socket"
    for one in /proc/[0-9]*; do "$reach" unix "$one/root$socket" && echo found; done > "$here/found" 2>/dev/null
    report "socket/${socket#"$DATA"/}/processes" cat "$here/found"
done
calls control-socket "$reach" unix /.danube/run/coordinator.sock
calls server/tcp "$reach" tcp "$PORT"
echo "WAYS tried"
