"""The way to the Docker Engine, and what its errors mean to a user."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tfserve.engines.docker_config import check_config
from tfserve.engines.local_runtime import how_to_serve
from tfserve.errors import EngineUnavailableError, NoSuchServerError, TfserveError, reason

if TYPE_CHECKING:
    from docker import APIClient

__all__ = [
    "ELSEWHERE",
    "LOG_HINT",
    "connect",
    "docker_errors",
    "endpoint",
    "explanation",
    "how_to_start",
    "is_configured",
    "is_elsewhere",
    "remote_host",
]

LOG_HINT = "The engine's own log says more: journalctl -u docker"
ELSEWHERE = "See whether that machine and its Docker Engine are up. DOCKER_HOST names it, or: docker context ls"
_PING_SECONDS = 10.0
_DEFAULT_SOCKET = Path("/var/run/docker.sock")


def is_configured() -> bool:
    """Whether anything here points at an engine; when nothing does, there is no need to load the SDK to find out."""
    variables = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG")
    if any(os.environ.get(name) for name in variables):
        return True
    config = os.path.expanduser("~/.docker/config.json")  # noqa: PTH111 - Path would raise where there is no home
    return _DEFAULT_SOCKET.exists() or os.path.exists(config)  # noqa: PTH110


@cache
def connect() -> APIClient:
    """Connects to the engine that the ``docker`` command would use: DOCKER_HOST, else the current context.

    Raises:
        EngineUnavailableError: it does not answer, or does not let this user in.
    """
    import docker
    import docker.errors
    from requests.exceptions import RequestException

    where = endpoint()
    ssh = where.startswith("ssh://")
    try:
        # The engine answers a ping at once; for the SDK's own version="auto" it first asks containerd and runc theirs.
        newest = docker.constants.DEFAULT_DOCKER_API_VERSION
        client = docker.DockerClient.from_env(version=newest, use_ssh_client=ssh).api
        answer = client.get(f"{client.base_url}/_ping", timeout=_PING_SECONDS)
        answer.raise_for_status()
        offered = answer.headers.get("Api-Version", newest)
        if docker.utils.version_lt(offered, newest):
            client.close()
            client = docker.DockerClient.from_env(version=offered, use_ssh_client=ssh).api
        return client
    except (docker.errors.DockerException, RequestException, OSError, ValueError) as error:
        raise _unreachable(where, error) from error


def how_to_start() -> str:
    """What to do on this machine where no engine answers."""
    from tfserve.system import this_system

    system = this_system()
    return (
        f"Start Docker: {system.start_docker}   (to install it: {system.docker_page})\n"
        f"Or serve without it: {how_to_serve()}"
    )


@contextmanager
def docker_errors() -> Iterator[None]:
    """Turns what the SDK raises when an engine goes away, or refuses, into errors a user can read."""
    import docker.errors
    import requests.exceptions
    import urllib3.exceptions

    try:
        yield
    except docker.errors.NotFound as error:
        raise NoSuchServerError(
            f"It is gone: {explanation(error)}.",
            hint="Somebody removed it. tfserve ps lists what there is.",
        ) from error
    except docker.errors.APIError as error:
        raise TfserveError(f"Docker Engine refused: {explanation(error)}.", hint=LOG_HINT) from error
    except (
        docker.errors.StreamParseError,  # an answer that ends in the middle
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,
        ConnectionError,
    ) as error:
        raise EngineUnavailableError(
            "Docker Engine stopped answering.",
            hint="See whether it still runs: docker info",
            details=reason(error),
        ) from error


def explanation(error: Exception) -> str:
    """Returns the engine's own words for an API error."""
    return str(getattr(error, "explanation", None) or error).strip().rstrip(".")


def remote_host(client: APIClient) -> str | None:
    """The host of an engine on another machine; None when it is this machine's own."""
    url = urlsplit(client.base_url)
    if url.scheme in ("http+docker", "unix", "npipe", "http+unix"):
        return None
    return None if url.hostname in ("localhost", "127.0.0.1", "::1", None) else url.hostname


def is_elsewhere(where: str) -> bool:
    """Whether the address of an engine leads over a network, so that nothing is known of its machine."""
    return "://" in where and not where.startswith(("unix://", "npipe://"))


def endpoint() -> str:
    """The address of the engine that the ``docker`` command would use.

    Raises:
        EngineUnavailableError: DOCKER_CONTEXT, or the docker configuration, names a context that there is not; the SDK
            would take the default one instead. Or that configuration is none.
    """
    from docker.context import ContextAPI
    from docker.context.config import get_current_context_name

    check_config()
    if host := os.environ.get("DOCKER_HOST"):
        return host
    name = os.environ.get("DOCKER_CONTEXT") or get_current_context_name() or "default"
    context = ContextAPI.get_context(name)
    if context is None:
        raise EngineUnavailableError(f"There is no docker context {name!r}.", hint="List them with: docker context ls")
    return str(context.Host or f"unix://{_DEFAULT_SOCKET}")


def _unreachable(where: str, error: Exception) -> EngineUnavailableError:
    why = reason(error)
    if why == os.strerror(errno.EACCES):
        return EngineUnavailableError(
            f"This user may not use the Docker Engine at {where}.",
            hint='Join the group that may (sudo usermod -aG docker "$USER"; log out and in again), '
            f"or serve without Docker: {how_to_serve()}",
        )
    if "paramiko" in why:
        return EngineUnavailableError(
            f"The Docker Engine at {where} is reached over SSH, which needs paramiko.",
            hint="Install it: pip install paramiko",
        )
    return EngineUnavailableError(
        f"No Docker Engine answers at {where}.",
        hint=f"{ELSEWHERE}\nOr serve without it: {how_to_serve()}" if is_elsewhere(where) else how_to_start(),
        details=why,
    )
