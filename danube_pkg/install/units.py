"""The units for systemd, as text. Files in deploy/ are made from them, with each option explained there."""

from danube_pkg.install.steps import ADMIN_SOCKET, HTTP_SOCKET, PODS_SERVICE, PODS_SOCKET, ROOT_USER, SERVICE

PROGRAM = "/usr/local/bin/danube"
SETTINGS = "/etc/danube/danube.toml"
CACHE = "/var/cache/danube"
UNIT_DIRECTORY = "/etc/systemd/system"
PODS_PATH = "/run/danube-pods.sock"

HTTP_UNIT = f"""# {UNIT_DIRECTORY}/{HTTP_SOCKET}: systemd keeps the address open while the server is restarted or upgraded,
# so that no webhook meets a closed port.
[Unit]
Description=Danube's address

[Socket]
ListenStream=%(listen)s
FileDescriptorName=http
Backlog=1024

[Install]
WantedBy=sockets.target
"""

ADMIN_UNIT = f"""# {UNIT_DIRECTORY}/{ADMIN_SOCKET}: the local administrator's socket. Its mode admits the server's user alone, and the
# server checks the user of each connection too.
[Unit]
Description=Danube's socket for the local administrator

[Socket]
ListenStream=%(data)s/danube.sock
SocketUser=%(user)s
SocketMode=0600
DirectoryMode=0700
FileDescriptorName=admin
Service={SERVICE}
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
"""

PODS_SOCKET_UNIT = f"""# {UNIT_DIRECTORY}/{PODS_SOCKET}: over this the server lets {PODS_SERVICE} start pods.
[Unit]
Description=Danube's socket for starting pods

[Socket]
ListenSequentialPacket={PODS_PATH}
SocketUser=%(user)s
SocketMode=0600
Backlog=1024
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
"""

PODS_UNIT = f"""# {UNIT_DIRECTORY}/{PODS_SERVICE}: starts pods and egress proxies, which outlive the server: they belong to this unit, so a
# restart of {SERVICE} does not reach them, nor does what confines the server.
[Unit]
Description=Danube's pods
Requires={PODS_SOCKET}
RequiresMountsFor=%(data)s

[Service]
ExecStart={PROGRAM} serve --pods
User=%(user)s
Slice=danube-pods.slice
Environment=XDG_CACHE_HOME=/var/cache
Restart=always
RestartSec=1
# A pod ends with its job. It has bounds, ids and a filter of system calls of its own: see hardening.md.
KillMode=process
OOMPolicy=continue
OOMScoreAdjust=-500
LimitNOFILE=65536
UMask=0077

[Install]
WantedBy=multi-user.target
"""

SERVICE_UNIT = f"""# {UNIT_DIRECTORY}/{SERVICE}
[Unit]
Description=Danube CI/CD server
After=network-online.target
Wants=network-online.target
Requires={HTTP_SOCKET} {ADMIN_SOCKET} {PODS_SOCKET}
After={PODS_SOCKET}
RequiresMountsFor=%(data)s

[Service]
ExecStart={PROGRAM} serve --config {SETTINGS}
Sockets={HTTP_SOCKET} {ADMIN_SOCKET}
User=%(user)s
Slice=danube.slice
Environment=DANUBE_LOG=info,json
Environment=XDG_CACHE_HOME=/var/cache
Environment=DANUBE_POD_LAUNCHER={PODS_PATH}
Restart=always
RestartSec=1
# The server ends first, then the workers that it has left. Pods and egress proxies belong to {PODS_SERVICE}.
KillMode=mixed
OOMPolicy=continue
TimeoutStopSec=30
OOMScoreAdjust=-500
LimitNOFILE=65536
UMask=0077
# What the server does not need; hardening.md says why other options are left out.
%(filters)sCapabilityBoundingSet=~CAP_AUDIT_CONTROL CAP_AUDIT_READ CAP_AUDIT_WRITE CAP_BLOCK_SUSPEND CAP_BPF CAP_CHECKPOINT_RESTORE CAP_IPC_LOCK CAP_IPC_OWNER
CapabilityBoundingSet=~CAP_LEASE CAP_LINUX_IMMUTABLE CAP_MAC_ADMIN CAP_MAC_OVERRIDE CAP_NET_BROADCAST CAP_PERFMON CAP_SYSLOG
CapabilityBoundingSet=~CAP_SYS_BOOT CAP_SYS_MODULE CAP_SYS_PACCT CAP_SYS_RAWIO CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_WAKE_ALARM

[Install]
WantedBy=multi-user.target
"""


FILTERS = """RestrictRealtime=yes
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=~@clock @cpu-emulation @debug @module @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM
"""
"""Filters of system calls. For another user than root they imply NoNewPrivileges=, with which `newuidmap` cannot give
pods the user's subordinate ids (systemd.exec(5))."""


def unit_texts(data: str, user: str, listen: str) -> dict[str, str]:
    """The text of each unit by its name, in the order in which they are started."""
    values = {"data": data, "user": user, "listen": listen, "filters": FILTERS if user == ROOT_USER else ""}
    units = {
        HTTP_SOCKET: HTTP_UNIT,
        ADMIN_SOCKET: ADMIN_UNIT,
        PODS_SOCKET: PODS_SOCKET_UNIT,
        PODS_SERVICE: PODS_UNIT,
        SERVICE: SERVICE_UNIT,
    }
    return {name: text % values for name, text in units.items()}


def default_unit_texts() -> dict[str, str]:
    """Those of an installation without options."""
    return unit_texts("/var/lib/danube", ROOT_USER, "127.0.0.1:8080")
