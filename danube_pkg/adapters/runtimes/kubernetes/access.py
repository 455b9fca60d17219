"""Finds a cluster and opens authenticated sessions with its API server, by the official package's configuration.

Only configuration and authentication are that package's: objects travel as plain JSON over its session, which takes a
tenth of the time of its typed models.
"""

import asyncio
import ssl
from collections.abc import Mapping

import aiohttp
import yaml
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config import ConfigException
from kubernetes.aio.config.incluster_config import (
    SERVICE_CERT_FILENAME,
    SERVICE_TOKEN_FILENAME,
    InClusterConfigLoader,
)
from kubernetes.aio.config.kube_config import load_kube_config

from danube_pkg.adapters.runtimes.kubernetes.call_counts import counting
from danube_pkg.core.errors import Permanent, Unavailable
from danube_pkg.core.runtimes.choice import ClusterLocation
from danube_pkg.kit.tallies import Tally

CONNECTIONS = 512
"""At once: one for each step that runs, by its exec, and some for requests. Files are the smaller bound elsewhere."""

LOAD_SECONDS = 60.0
"""For a program that a kubeconfig names to return a credential."""

_CONNECT_SECONDS = 10.0


class ClusterAccess:
    """One session with an API server; credentials are read again where the server no longer accepts them."""

    def __init__(self, location: ClusterLocation) -> None:
        self.location = location
        self._lock = asyncio.Lock()
        self._configuration: Configuration | None = None
        self._session: aiohttp.ClientSession | None = None
        self.server_name: str | None = None
        """What the server's certificate must name where that is not the host of its URL."""
        self.calls = Tally()
        """Requests so far, as `OPERATION STATUS`."""

    async def open(self) -> tuple[aiohttp.ClientSession, str]:
        """The session and the server's URL. Raises Permanent for a configuration that cannot be used, Unavailable."""
        async with self._lock:
            if self._session is None or self._configuration is None:
                self._configuration = await self._load()
                self._session = _session(self._configuration, self.calls)
                self.server_name = self._configuration.tls_server_name or None
            return self._session, str(self._configuration.host).rstrip("/")

    async def headers(self) -> Mapping[str, str]:
        """What authenticates a request; also the token of a service account is read again when it has changed."""
        await self.open()
        assert self._configuration is not None
        settings = await self._configuration.auth_settings()
        bearer = settings.get("BearerToken")
        return {"Authorization": str(bearer["value"])} if bearer and bearer.get("value") else {}

    async def reload(self) -> None:
        """Read the configuration again: its credential has expired. Open connections stay as they are."""
        async with self._lock:
            old, self._session, self._configuration = self._session, None, None
        if old is not None:
            await old.close()

    async def close(self) -> None:
        """Close every connection."""
        await self.reload()

    async def _load(self) -> Configuration:
        configuration = Configuration()
        configuration.connection_pool_maxsize = CONNECTIONS
        configuration.retries = None
        hint = f"check it: kubectl --kubeconfig {self.location.kubeconfig or 'FILE'} get pods; [runtime] kubeconfig"
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                await self._read(configuration)
        except TimeoutError as error:
            raise Unavailable(
                "cluster-credentials-late", f"no credential from {self.location} in time", hint=hint
            ) from error
        except (ConfigException, OSError, ssl.SSLError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
            what = f"the access to the cluster cannot be read from {self.location}"
            raise Permanent("kubeconfig-unusable", what, cause=str(error), hint=hint) from error
        return configuration

    async def _read(self, configuration: Configuration) -> None:
        if self.location.kubeconfig is None:
            InClusterConfigLoader(SERVICE_TOKEN_FILENAME, SERVICE_CERT_FILENAME).load_and_set(configuration)
            return
        await load_kube_config(
            config_file=str(self.location.kubeconfig),
            context=self.location.context or None,
            client_configuration=configuration,
            persist_config=False,
        )


def _session(configuration: Configuration, calls: Tally) -> aiohttp.ClientSession:
    context = RESTClientObject(configuration).ssl_context
    connector = aiohttp.TCPConnector(limit=CONNECTIONS, ssl=context, keepalive_timeout=30)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
    return aiohttp.ClientSession(
        connector=connector, timeout=timeout, proxy=configuration.proxy or None, trace_configs=[counting(calls)]
    )
