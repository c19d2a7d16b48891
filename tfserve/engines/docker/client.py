"""Connects to the Docker Engine, and explains its errors to the user."""

from __future__ import annotations

import errno
import os
import re
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tfserve.addresses import is_this_machine
from tfserve.engines.docker import DEFAULT_SOCKET, is_configured
from tfserve.engines.docker.config import check_config
from tfserve.errors import EngineUnavailableError, NoSuchServerError, TfserveError, is_caused_by, reason
from tfserve.text import printable

if TYPE_CHECKING:
    from docker import APIClient

__all__ = [
    "LOG_HINT",
    "UnexpectedAnswerError",
    "connect",
    "docker_errors",
    "endpoint",
    "explanation",
    "hangs",
    "how_to_start",
    "mirrors",
    "mirrors_in",
    "own_work",
    "remote_host",
    "unexpected_answer",
]

LOG_HINT = "See the log of the engine for details: journalctl -u docker"
_ELSEWHERE = (
    "Check that the machine and its Docker Engine are running. Its address is in DOCKER_HOST, or: docker context ls"
)
_JOIN = 'Join the docker group (sudo usermod -aG docker "$USER"; then log out and in again).'
_PING_SECONDS = 10.0
_REMEMBERED_SECONDS = 60.0  # a command that connects again shortly afterwards does not wait again
_API_VERSION = re.compile(r"\d{1,4}\.\d{1,4}")
_UNEXPECTED = (LookupError, TypeError, AttributeError, ValueError, RecursionError, OverflowError, tarfile.TarError)
_OWN = "_own_work"  # an attribute of errors
_hung: dict[str, float] = {}


class UnexpectedAnswerError(EngineUnavailableError):
    """An answer does not have the form that a Docker Engine gives it, or is too large."""


@cache
def connect() -> APIClient:
    """Connects to the engine that the ``docker`` command would use: DOCKER_HOST, else the current context.

    Raises:
        EngineUnavailableError: it does not answer, or this user may not use it.
    """
    import docker
    import docker.errors
    from requests.exceptions import RequestException, Timeout

    from tfserve.engines.docker.session import BoundedDocker

    where = endpoint()
    _check_address(where)
    if time.monotonic() < _hung.get(where, 0.0):
        raise hangs(where, _PING_SECONDS)
    ssh = where.startswith("ssh://")
    try:
        # The engine answers a ping immediately; for version="auto" it would first query containerd and runc.
        newest = docker.constants.DEFAULT_DOCKER_API_VERSION
        client = BoundedDocker.from_env(version=newest, use_ssh_client=ssh).api
        answer = client.get(f"{client.base_url}/_ping", timeout=_PING_SECONDS)
        answer.raise_for_status()
        offered = answer.headers.get("Api-Version", newest)
        if not _API_VERSION.fullmatch(offered):
            raise unexpected_answer(f"its API version is {printable(offered, limit=30)!r}")
        if docker.utils.version_lt(offered, newest):
            client.close()
            client = BoundedDocker.from_env(version=offered, use_ssh_client=ssh).api
        return client
    except Timeout as error:
        _hung[where] = time.monotonic() + _REMEMBERED_SECONDS
        raise hangs(where, _PING_SECONDS) from error
    except (docker.errors.DockerException, RequestException, OSError, ValueError, RecursionError) as error:
        raise _unreachable(where, error) from error


def how_to_start() -> str:
    """What to do on this machine if no engine answers."""
    from tfserve.host.system import this_system

    system = this_system()
    return f"Start Docker: {system.start_docker}   (to install it: {system.docker_page})"


def hangs(where: str, seconds: float) -> EngineUnavailableError:
    """The error for an engine that accepts the connection, but does not answer for this number of `seconds`."""
    from tfserve.host.system import this_system

    return EngineUnavailableError(
        f"The Docker Engine at {where} hangs: no answer within {seconds:g} s.",
        hint=_ELSEWHERE if _is_elsewhere(where) else f"{_where_from(where)}Restart it: {this_system().restart_docker}",
    )


@contextmanager
def own_work() -> Iterator[None]:
    """Marks the errors of work that the SDK or an event of it calls, so that `docker_errors` leaves them unchanged."""
    try:
        yield
    except Exception as error:
        vars(error)[_OWN] = True
        raise


@contextmanager
def docker_errors() -> Iterator[None]:
    """Turns the exceptions of the SDK, and of reading an answer, into errors that a user can understand.

    The block should only contain that: a LookupError or ValueError in it means that the answer has the wrong form.
    """
    import http.client

    import docker.errors
    import requests.exceptions
    import urllib3.exceptions

    from tfserve.host.deadline import TooMuchError

    try:
        yield
    except docker.errors.NotFound as error:
        raise NoSuchServerError(
            f"The container or image no longer exists: {explanation(error)}.",
            hint="It was removed by another process. To list the servers: tfserve ps",
        ) from error
    except docker.errors.APIError as error:
        raise TfserveError(f"Docker Engine refused: {explanation(error)}.", hint=LOG_HINT) from error
    except (
        docker.errors.StreamParseError,  # a truncated answer
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,
        http.client.HTTPException,
        ConnectionError,
        TimeoutError,
        TooMuchError,
    ) as error:
        if _OWN in vars(error):
            raise
        if is_caused_by(error, TooMuchError):
            raise unexpected_answer("it is too large") from error
        raise EngineUnavailableError(
            "Docker Engine stopped answering.",
            hint="Check whether it is still running: docker info",
            details="It did not answer in time." if "timed out" in (words := reason(error)) else words,
        ) from error
    except _UNEXPECTED as error:
        if _OWN in vars(error):
            raise
        raise unexpected_answer(_why_unexpected(error)) from error


def _why_unexpected(error: Exception) -> str:
    text = printable(str(error), limit=200).rstrip(".")
    return f"{text} is missing" if isinstance(error, KeyError) else text or type(error).__name__


def unexpected_answer(details: str) -> UnexpectedAnswerError:
    """The error for an answer that a Docker Engine would not give; `details` is the first difference."""
    return UnexpectedAnswerError(
        "Docker Engine sent an answer that tfserve does not understand.",
        hint="Check that its address is that of a Docker Engine: docker info",
        details=details,
    )


def explanation(error: Exception) -> str:
    """Returns the engine's message for an API error."""
    return str(getattr(error, "explanation", None) or error).strip().rstrip(".")


def remote_host(client: APIClient) -> str | None:
    """The host of an engine on another machine; None for an engine on this machine."""
    url = urlsplit(client.base_url)
    if url.scheme in ("http+docker", "unix", "npipe", "http+unix"):
        return None
    return None if url.hostname is None or is_this_machine(url.hostname) else url.hostname


def mirrors() -> tuple[str, ...]:
    """The mirrors of Docker Hub that the engine of this machine uses; none if there is no such engine."""
    if not is_configured():
        return ()
    with suppress(TfserveError):
        client = connect()
        if remote_host(client) is None:  # this machine may not reach the mirrors of another one
            with docker_errors():
                return mirrors_in(client.info())
    return ()


def mirrors_in(info: Mapping[str, Any]) -> tuple[str, ...]:
    """The mirrors of Docker Hub in the ``docker info`` of an engine."""
    mirrors = (info.get("RegistryConfig") or {}).get("Mirrors") or ()
    return tuple(mirror for mirror in mirrors if isinstance(mirror, str))


def _is_elsewhere(where: str) -> bool:
    """Whether an engine is reached over a network, so that nothing is known about its machine."""
    return "://" in where and not where.startswith(("unix://", "npipe://"))


def endpoint() -> str:
    """The address of the engine that the ``docker`` command would use.

    Raises:
        EngineUnavailableError: the docker configuration is invalid; or it, or DOCKER_CONTEXT, names a context that does
            not exist, in place of which the SDK would use the default one.
    """
    from docker.context import ContextAPI
    from docker.context.config import get_current_context_name

    check_config()
    if host := os.environ.get("DOCKER_HOST"):
        return host
    name = os.environ.get("DOCKER_CONTEXT") or get_current_context_name() or "default"
    context = ContextAPI.get_context(name)
    if context is None:
        raise EngineUnavailableError(
            f"The docker context {name!r} does not exist.", hint="List the contexts: docker context ls"
        )
    return str(context.Host or f"unix://{DEFAULT_SOCKET}")


def _check_address(where: str) -> None:
    """Refuses an invalid address of an engine, such as ``fd://``.

    Raises:
        EngineUnavailableError: the address is invalid.
    """
    from docker.errors import DockerException
    from docker.utils import parse_host

    try:
        parse_host(where)
    except (DockerException, ValueError) as error:
        by = "DOCKER_HOST" if os.environ.get("DOCKER_HOST") else "The current docker context"
        raise EngineUnavailableError(
            f"{by} names {where!r}, which is not an address of a Docker Engine.",
            hint="Write it as unix:///PATH, tcp://HOST:PORT or ssh://USER@HOST"
            + (", or unset DOCKER_HOST." if by == "DOCKER_HOST" else ": docker context update"),
        ) from error


def _where_from(where: str) -> str:
    """A line that explains where an unusual address on this machine comes from; empty for the usual address."""
    if os.environ.get("DOCKER_HOST") and where.removeprefix("unix://") != str(DEFAULT_SOCKET):
        return "DOCKER_HOST names this address. To use the engine of the current docker context: unset DOCKER_HOST\n"
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
            f"A connection to the Docker Engine at {where} over SSH requires paramiko.",
            hint="Install it: pip install paramiko",
        )
    return EngineUnavailableError(
        f"No Docker Engine answers at {where}.",
        hint=_ELSEWHERE if _is_elsewhere(where) else _where_from(where) + how_to_start(),
        details=why,
    )
