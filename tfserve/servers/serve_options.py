"""The arguments of `tfserve.serve` as type checkers know them.

Written by python -m tests.servers.serve_options from the table in `tfserve.spec.fields`; do not edit it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

__all__ = ["ServeOptions"]


class ServeOptions(TypedDict, total=False):
    """Fields of a server; None for the default."""

    config: str | os.PathLike[str] | None
    rest_port: int | Literal["none"] | None
    grpc_port: int | Literal["none"] | None
    host: str | None
    engine: str | None
    image: str | None
    tag: str | None
    platform: str | None
    pull: Literal["missing", "always", "never"] | None
    memory: int | str | None
    cpus: float | None
    restart: str | None
    unsandboxed: bool | None
    reload_over_tcp: bool | None
    gpu: bool | None
    gpus: int | str | Sequence[int | str] | None
    gpu_memory_fraction: float | None
    gpu_memory_growth: bool | None
    environment: Mapping[str, str] | Sequence[str] | None
    batching: bool | Mapping[str, bool | int | str | Sequence[int]] | None
    monitoring: bool | str | None
    server_flags: Mapping[str, bool | int | float | str] | Sequence[str] | None
    wait_seconds: float | None
    smoke_test: bool | str | Mapping[str, Any] | None
    replace: bool | None
