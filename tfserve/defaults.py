"""What holds where a user says nothing, and what may be said instead. Light, so that every command can load it."""

from __future__ import annotations

from typing import Literal, TypeAlias

__all__ = [
    "AUTO",
    "GRPC_PORT",
    "HOST",
    "REST_PORT",
    "STOP_SECONDS",
    "WAIT_SECONDS",
    "Api",
    "EngineChoice",
    "PullPolicy",
]

Api = Literal["rest", "grpc"]
EngineChoice: TypeAlias = str
"""`AUTO`, or the name of an engine; see `tfserve.engines.engine_names`."""
PullPolicy = Literal["missing", "always", "never"]

AUTO = "auto"
HOST = "127.0.0.1"
GRPC_PORT = 8500
REST_PORT = 8501
STOP_SECONDS = 10.0  # from SIGTERM to SIGKILL, as docker stop has it
WAIT_SECONDS = 300.0
