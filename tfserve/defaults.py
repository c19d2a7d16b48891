"""Default values, and the choices of options. Every command loads this module, so it imports as little as possible."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeAlias

__all__ = [
    "AUTO",
    "GRPC_PORT",
    "HOST",
    "INSTALL_LOCAL",
    "REST_PORT",
    "STOP_SECONDS",
    "WAIT_SECONDS",
    "Api",
    "EngineChoice",
    "PullPolicy",
    "engine_names",
]

Api = Literal["rest", "grpc"]
EngineChoice: TypeAlias = str
"""`AUTO`, or the name of an engine; see `engine_names`."""
PullPolicy = Literal["missing", "always", "never"]

AUTO = "auto"
HOST = "127.0.0.1"
INSTALL_LOCAL = "pip install 'tfserve-cli[local]'"  # gRPC, and the runtime of the local engine
GRPC_PORT = 8500
REST_PORT = 8501
STOP_SECONDS = 10.0  # from SIGTERM to SIGKILL; the default of docker stop
WAIT_SECONDS = 300.0


def engine_names() -> tuple[str, ...]:
    """Returns the names of all engines: those of the packages in ``tfserve/engines``, which are not imported."""
    package = find_spec("tfserve.engines")
    paths = package.submodule_search_locations if package else None
    return tuple(sorted({file.parent.name for path in paths or () for file in Path(path).glob("*/__init__.py")}))
