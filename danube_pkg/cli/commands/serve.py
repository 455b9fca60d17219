"""`danube serve`: run the server until SIGTERM or SIGINT. Running jobs continue, and the next server takes them
over."""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from danube_pkg.adapters.configuration import find_settings, read_settings
from danube_pkg.bootstrap.serve import ServerOptions, serve
from danube_pkg.cli.image_settings import image_options
from danube_pkg.core.errors import Invalid
from danube_pkg.kit.logs import set_up_logging
from danube_pkg.kit.records import replace
from danube_pkg.services.secrets import KnownValues


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", metavar="FILE", help="danube.toml (DANUBE_CONFIG; else ./danube.toml, else /etc/danube/danube.toml)"
    )
    parser.add_argument("--data", metavar="DIR", help="the data directory (DANUBE_DATA; else server.data_dir)")
    parser.add_argument("--listen", metavar="HOST:PORT", help="the address to listen on (else server.bind_address)")


def main(options: argparse.Namespace) -> int:
    known = KnownValues()
    start_log(known, default="info", stream_name="stdout")
    named = options.config or os.environ.get("DANUBE_CONFIG")
    settings = read_settings(find_settings(Path(named) if named else None))
    data = options.data or os.environ.get("DANUBE_DATA")
    given = {"bind_address": options.listen, "data_dir": str(Path(data).absolute()) if data else None}
    flags = {name: value for name, value in given.items() if value}
    server = replace(settings.server, **flags)
    settings = replace(settings, server=server)
    asyncio.run(_serve(ServerOptions(settings, frozenset(flags), known, image_options(server.data_dir, settings))))
    return 0


async def _serve(options: ServerOptions) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(options, stop)


def start_log(known: KnownValues, *, default: str, stream_name: str) -> None:
    """Set up this process's own log by DANUBE_LOG. Raises Invalid."""
    try:
        set_up_logging(getattr(sys, stream_name), os.environ.get("DANUBE_LOG") or default, known.redact)
    except ValueError as error:
        raise Invalid("log-level-invalid", f"DANUBE_LOG: {error}", hint="DANUBE_LOG=info,danube.git=debug") from error
