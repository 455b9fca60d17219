"""Runs a server in this process until SIGTERM or SIGINT."""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import NoReturn

from danube_pkg.adapters.configuration import find_settings, read_settings
from danube_pkg.adapters.programs import find_program
from danube_pkg.bootstrap.serve import ServerOptions, serve
from danube_pkg.bootstrap.trial import try_start
from danube_pkg.cli.image_settings import image_options
from danube_pkg.cli.output import say
from danube_pkg.cli.process_log import start_log
from danube_pkg.kit.heap import limit_arenas
from danube_pkg.kit.records import replace
from danube_pkg.services.secrets import KnownValues


def run_server(
    options: argparse.Namespace,
    named: str | None,
    listening: socket.socket | None,
    admin: socket.socket | None = None,
) -> int:
    """named: danube.toml. listening, admin: the sockets on which clients and the local administrator wait already, None
    where there is none."""
    limit_arenas()
    known = KnownValues()
    start_log(known, default="info", stream_name="stdout")
    settings = read_settings(find_settings(Path(named) if named else None))
    data = options.data or os.environ.get("DANUBE_DATA")
    given = {"bind_address": options.listen, "data_dir": str(Path(data).absolute()) if data else None}
    flags = {name: value for name, value in given.items() if value}
    server = replace(settings.server, **flags)
    settings = replace(settings, server=server)
    images = image_options(server.data_dir, settings)
    launcher = os.environ.get("DANUBE_POD_LAUNCHER")
    pod_launcher = Path(launcher) if launcher else None
    prepared = ServerOptions(settings, frozenset(flags), known, images, listening, admin, pod_launcher)
    if options.trial:
        return _try(prepared)
    asyncio.run(_serve(prepared))
    return 0


def launch_pods() -> NoReturn:
    """Become the launcher of pods, on the socket that systemd passed. Raises HostLacks for a missing program."""
    program = find_program("danube-ns")
    os.execv(program, [str(program), "launcher"])


def _try(options: ServerOptions) -> int:
    found = asyncio.run(try_start(options))
    for condition in found:
        say(f"{condition.reference}: {condition.what}\n  hint: {condition.hint}", file=sys.stderr)
    return 1 if found else 0


async def _serve(options: ServerOptions) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(options, stop)
    _end_process()


def _end_process() -> NoReturn:
    """End at once: all parts are closed. Threads that still copy or remove files end as they do in a server that is
    killed, and the next one repeats their work. Python would wait for them, and then free each object."""
    logging.shutdown()
    with contextlib.suppress(OSError):  # the reader of a pipe may have gone
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)
