"""The way to the Docker Engine, and what its errors mean to a user."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tfserve.addresses import is_loopback
from tfserve.engines.docker import DEFAULT_SOCKET, is_configured
from tfserve.engines.docker.config import check_config
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
    "hangs",
    "how_to_start",
    "is_elsewhere",
    "mirrors",
    "mirrors_in",
    "remote_host",
]

LOG_HINT = "The engine's own log says more: journalctl -u docker"
ELSEWHERE = "See whether that machine and its Docker Engine are up. DOCKER_HOST names it, or: docker context ls"
_JOIN = 'Join the group that may (sudo usermod -aG docker "$USER"; log out and in again).'
_PING_SECONDS = 10.0
_REMEMBERED_SECONDS = 60.0  # a command that asks again in a moment need not wait again
_hung: dict[str, float] = {}


@cache
def connect() -> APIClient:
    """Connects to the engine that the ``docker`` command would use: DOCKER_HOST, else the current context.

    Raises:
        EngineUnavailableError: it does not answer, or does not let this user in.
    """
    import docker
    import docker.errors
    from requests.exceptions import RequestException, Timeout

    where = endpoint()
    _check_address(where)
    if time.monotonic() < _hung.get(where, 0.0):
        raise hangs(where, _PING_SECONDS)
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
    except Timeout as error:
        _hung[where] = time.monotonic() + _REMEMBERED_SECONDS
        raise hangs(where, _PING_SECONDS) from error
    except (docker.errors.DockerException, RequestException, OSError, ValueError) as error:
        raise _unreachable(where, error) from error


def how_to_start() -> str:
    """What to do on this machine where no engine answers."""
    from tfserve.host.system import this_system

    system = this_system()
    return f"Start Docker: {system.start_docker}   (to install it: {system.docker_page})"


def hangs(where: str, seconds: float) -> EngineUnavailableError:
    """The error for an engine that takes the connection, and says nothing for so many `seconds`."""
    from tfserve.host.system import this_system

    return EngineUnavailableError(
        f"The Docker Engine at {where} hangs: no answer within {seconds:g} s.",
        hint=ELSEWHERE if is_elsewhere(where) else f"{_where_from(where)}Restart it: {this_system().restart_docker}",
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
            details="It did not answer in time." if "timed out" in (words := reason(error)) else words,
        ) from error


def explanation(error: Exception) -> str:
    """Returns the engine's own words for an API error."""
    return str(getattr(error, "explanation", None) or error).strip().rstrip(".")


def remote_host(client: APIClient) -> str | None:
    """The host of an engine on another machine; None when it is this machine's own."""
    url = urlsplit(client.base_url)
    if url.scheme in ("http+docker", "unix", "npipe", "http+unix"):
        return None
    return None if url.hostname is None or is_loopback(url.hostname) else url.hostname


def mirrors() -> tuple[str, ...]:
    """The registries that the engine of this machine asks before Docker Hub; none where there is no such engine."""
    if not is_configured():
        return ()
    with suppress(TfserveError):
        client = connect()
        if remote_host(client) is None:  # what another machine has before itself need not be reached from here
            with docker_errors():
                return mirrors_in(client.info())
    return ()


def mirrors_in(info: Mapping[str, Any]) -> tuple[str, ...]:
    """The registries that an engine asks before Docker Hub, from what it says of itself (``docker info``)."""
    return tuple((info.get("RegistryConfig") or {}).get("Mirrors") or ())


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
    return str(context.Host or f"unix://{DEFAULT_SOCKET}")


def _check_address(where: str) -> None:
    """Refuses what is no address of an engine, such as ``fd://``.

    Raises:
        EngineUnavailableError: it is none.
    """
    from docker.errors import DockerException
    from docker.utils import parse_host

    try:
        parse_host(where)
    except (DockerException, ValueError) as error:
        by = "DOCKER_HOST" if os.environ.get("DOCKER_HOST") else "The current docker context"
        raise EngineUnavailableError(
            f"{by} names {where!r}, which is no address of a Docker Engine.",
            hint="Write it as unix:///PATH, tcp://HOST:PORT or ssh://USER@HOST"
            + (", or unset DOCKER_HOST." if by == "DOCKER_HOST" else ": docker context update"),
        ) from error


def _where_from(where: str) -> str:
    """A line that says who names an address on this machine which is not the usual one; empty when it is that."""
    if os.environ.get("DOCKER_HOST") and where.removeprefix("unix://") != str(DEFAULT_SOCKET):
        return "DOCKER_HOST names this address. For the engine of the current docker context: unset DOCKER_HOST\n"
    return ""


def _unreachable(where: str, error: Exception) -> EngineUnavailableError:
    why = reason(error)
    if why == os.strerror(errno.EACCES):
        return EngineUnavailableError(
            f"This user may not use the Docker Engine at {where}.",
            hint=_where_from(where) + _JOIN,
        )
    if "paramiko" in why:
        return EngineUnavailableError(
            f"The Docker Engine at {where} is reached over SSH, which needs paramiko.",
            hint="Install it: pip install paramiko",
        )
    return EngineUnavailableError(
        f"No Docker Engine answers at {where}.",
        hint=ELSEWHERE if is_elsewhere(where) else _where_from(where) + how_to_start(),
        details=why,
    )
