"""The status of a server: what its engine reports, combined with what the server itself reports."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tfserve.engines.base import Server
from tfserve.errors import RequestError, TfserveError, UsageError
from tfserve.text import rfc3339

if TYPE_CHECKING:
    from tfserve.protos.version_status import VersionStatus

__all__ = ["Health", "ServerStatus", "is_loading", "server_status", "server_statuses", "version_statuses"]

Health = Literal["available", "loading", "failed", "unknown"]

_LOADING = ("START", "LOADING")
_AT_ONCE = 8
_LOG_TAIL = 200
_GRPC_SECONDS = 2.0


@dataclass(frozen=True)
class ServerStatus:
    """A server, its health, and the state of each version of each of its models."""

    server: Server
    health: Health
    versions: dict[str, tuple[tuple[int, str], ...]]

    def to_json(self) -> dict[str, Any]:
        """The JSON that ``run``, ``status`` and ``ps`` print."""
        server = self.server
        return {
            "name": server.name,
            "engine": server.engine.name,
            "state": server.state,
            "health": self.health,
            "image": server.image,
            "container_id": server.container_id,
            "pid": server.pid,
            "gpu": server.gpu,
            "models": [
                {
                    "name": model,
                    "versions": [{"version": version, "state": state} for version, state in self.versions[model]],
                }
                for model in server.models
            ],
            "rest_url": server.rest_url,
            "grpc_address": server.grpc_address,
            "created": rfc3339(server.created),
        }


def server_status(server: Server) -> ServerStatus:
    """Determines the health of a server."""
    versions: dict[str, tuple[tuple[int, str], ...]] = dict.fromkeys(server.models, ())
    if server.state != "running":
        return ServerStatus(server, _health_of_stopped(server), versions)
    from tfserve.client.failures import DroppedError, NotListeningError

    try:
        for model in server.models:
            found = version_statuses(server, model)
            versions[model] = tuple((version.version, version.state) for version in found)
    except (NotListeningError, DroppedError):
        # The ports open only when everything is loaded, so a server that does not answer is loading or has failed.
        return ServerStatus(server, "failed" if _has_failed(server) else "loading", versions)
    except (RequestError, UsageError):  # or only gRPC is published, and it is not installed
        return ServerStatus(server, "unknown", versions)
    return ServerStatus(server, _health_of_versions(versions), versions)


def version_statuses(server: Server, model: str) -> tuple[VersionStatus, ...]:
    """Requests the status of each version of a model, over REST, or over gRPC if only that is published.

    Raises:
        RequestError: the server does not answer.
        UsageError: only gRPC is published, and it is not installed.
    """
    from tfserve.client.connection import connect
    from tfserve.client.rest import poll_status

    address = server.address("grpc")
    if server.rest_url is not None or address is None:
        return poll_status(server.rest_url or "", model)
    with connect(address, api="grpc", timeout=_GRPC_SECONDS) as client:
        return client.status(model)


def server_statuses(servers: Sequence[Server]) -> list[ServerStatus]:
    """Determines the health of several servers at the same time, so that one that hangs does not delay the others."""
    if len(servers) <= 1:
        return [server_status(server) for server in servers]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return list(pool.map(server_status, servers))


def is_loading(states: Collection[str]) -> bool:
    """Whether one of the `states` of versions is a state before AVAILABLE."""
    return any(state in _LOADING for state in states)


def _has_failed(server: Server) -> bool:
    """Whether the log since the last start of a server reports that it cannot load a model."""
    from tfserve.engines.server_log import begins_a_run, is_fatal

    failed = False
    try:
        for line in server.logs(tail=_LOG_TAIL):
            failed = is_fatal(line) or (failed and not begins_a_run(line))
    except TfserveError:  # it is being removed
        return False
    return failed


def _health_of_stopped(server: Server) -> Health:
    if server.exit is None:
        return "loading" if server.state == "restarting" else "unknown"
    return "unknown" if server.exit.on_request else "failed"


def _health_of_versions(versions: dict[str, tuple[tuple[int, str], ...]]) -> Health:
    states = [{state for _, state in found} for found in versions.values()]
    if states and all("AVAILABLE" in found for found in states):
        return "available"
    return "loading" if any(map(is_loading, states)) else "failed"
