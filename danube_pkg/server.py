"""The composition root: builds the objects, joins ports to adapters, owns the tasks, handles signals.

`danube serve` and `danube run` build the same house; they differ only in where the pipeline and the code come from.
"""

import asyncio
import logging
import os
import secrets as randomness
import signal
import sys
import sysconfig
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import danube_pkg
from danube_pkg.adapters.artifacts import ArtifactDirectory
from danube_pkg.adapters.configuration import ConfigurationDirectory
from danube_pkg.adapters.git.sources import GitSources
from danube_pkg.adapters.keys import Keys
from danube_pkg.adapters.logs import FileJobLogs
from danube_pkg.adapters.runtimes.sandbox import CoordinatorProgram, SandboxRuntime, SandboxSettings
from danube_pkg.adapters.store import Store
from danube_pkg.core.pipelines import Pipeline
from danube_pkg.core.pods import Network
from danube_pkg.edges.grpc.server import CoordinatorEdge
from danube_pkg.edges.http.server import HttpEdge
from danube_pkg.edges.http.services import Services
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.ids import sortable_id
from danube_pkg.kit.locks import DirectoryLock
from danube_pkg.services.artifacts import Artifacts
from danube_pkg.services.configuration import Configuration
from danube_pkg.services.coordination import Coordination
from danube_pkg.services.jobs import Engine, EnginePorts, EngineSettings
from danube_pkg.services.secrets import Secrets
from danube_pkg.services.steps import FollowerTools
