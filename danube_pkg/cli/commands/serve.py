"""`danube serve`: run the server until SIGTERM or SIGINT. Running jobs continue, and the next server takes them
over.

It listens before it imports the server, whose modules take most of the start: forges do not send again what met a
closed port.
"""

import argparse
import importlib
import os
import socket

from danube_pkg.cli.listening import ADMIN_NAME, HTTP_NAME, early_socket, inherited_sockets
from danube_pkg.cli.settings_file import settings_files, written_setting
from danube_pkg.kit.late_modules import LateModules


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", metavar="FILE", help="danube.toml (DANUBE_CONFIG; else ./danube.toml, else /etc/danube/danube.toml)"
    )
    parser.add_argument("--data", metavar="DIR", help="the data directory (DANUBE_DATA; else server.data_dir)")
    parser.add_argument("--listen", metavar="HOST:PORT", help="the address to listen on (else server.bind_address)")
    parser.add_argument(
        "--trial", action="store_true", help="open everything, accept neither clients nor jobs, and end with 0 or 1"
    )

    parser.add_argument(
        "--pods", action="store_true", help="start the pods of a server, as its unit danube-pods.service does"
    )


def main(options: argparse.Namespace) -> int:
    if options.pods:
        importlib.import_module("danube_pkg.cli.serving").launch_pods()
    named = options.config or os.environ.get("DANUBE_CONFIG")
    inherited = {} if options.trial else inherited_sockets()
    listening = None if options.trial else inherited.get(HTTP_NAME) or _open_socket(options.listen, named)
    admin = inherited.get(ADMIN_NAME)
    try:
        with LateModules():  # a thousand modules: the garbage collector would examine them an eighth of the time
            serving = importlib.import_module("danube_pkg.cli.serving")
        return int(serving.run_server(options, named, listening, admin))
    finally:
        for one in (listening, admin):
            if one is not None:
                one.close()


def _open_socket(listen: str | None, named: str | None) -> socket.socket | None:
    """One at the address of the option or of danube.toml. None where only config.yaml may name the address, which is
    read later."""
    address = listen or written_setting(settings_files(named), "server", "bind_address")
    return early_socket(address) if address else None
