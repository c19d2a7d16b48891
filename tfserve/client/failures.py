"""What can go wrong between a client and a server, each with what a user can do about it.

Callers that wait for a server tell the cases apart by class; everyone else catches `RequestError`. All of them leave
with exit code 8.
"""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

from tfserve.client.json_document import read_json
from tfserve.errors import RequestError, Wording
from tfserve.text import printable, printable_lines

__all__ = [
    "DroppedError",
    "NotListeningError",
    "RefusedError",
    "TimedOutError",
    "dropped",
    "failure",
    "malformed",
    "no_answer",
    "not_listening",
    "redirected",
    "refusal",
    "refused",
    "shown_url",
    "timed_out",
    "too_large",
    "unknown_host",
]

_NOT_REST = "Is this the REST port of a TensorFlow Serving server? REST is 8501 by default; 8500 is gRPC."
_MAX_REASON = 2000  # characters of what a server says


class NotListeningError(RequestError):
    """Nothing listens at the address: the server is not running, or is still loading its models.

    The real server opens its ports only when its models are AVAILABLE.
    """


class DroppedError(RequestError):
    """The connection ended before the answer did: the server was stopped, or crashed.

    Docker's port proxy accepts connections before anything listens in the container and then drops them, so a server
    that is still loading looks like this too.
    """


class TimedOutError(RequestError):
    """No complete answer in time."""


class RefusedError(RequestError):
    """The server answered with an HTTP error.

    Attributes:
        status: the HTTP status, 400 or more.
        reason: the server's own message, or None when it gave none; from the server as it is, not escaped.
    """

    def __init__(
        self,
        message: str | Wording,
        *,
        status: int,
        reason: str | None,
        hint: str | Wording | None = None,
        details: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, details=details)
        self.status = status
        self.reason = reason


def shown_url(url: str) -> str:
    """Returns scheme, host and port of `url`, without a user and password that may stand in it."""
    parts = urlsplit(url)
    return printable(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")


def not_listening(url: str) -> NotListeningError:
    """Returns the error for an address that refuses connections."""
    return NotListeningError(
        f"Nothing listens at {shown_url(url)}.",
        hint="Is the server running, and has it loaded its model? tfserve ps tells.",
    )


def dropped(url: str) -> DroppedError:
    """Returns the error for a connection that ended before the answer did."""
    return DroppedError(
        f"The server at {shown_url(url)} closed the connection before it had answered.",
        hint="It is still loading its model, was stopped, or crashed: tfserve ps and tfserve logs tell.",
    )


def unknown_host(url: str, reason: str | None = None) -> RequestError:
    """Returns the error for a name that leads to no address; `reason` is the system's, if it gives one."""
    why = f": {printable(reason)}" if reason else ""
    return RequestError(
        f"The host of {shown_url(url)} is not known{why}.", hint="Is the name right, and can this machine look it up?"
    )


def timed_out(url: str, seconds: float) -> TimedOutError:
    """Returns the error for an answer that was not complete after `seconds`."""
    return TimedOutError(
        f"The server at {shown_url(url)} did not answer within {seconds:g} s.",
        hint="Give it more time with --timeout SECONDS, or see what it is doing: tfserve logs",
    )


def too_large(url: str, limit: int) -> RequestError:
    """Returns the error for an answer of more than `limit` bytes."""
    return RequestError(
        f"The answer of the server at {shown_url(url)} is larger than {limit // 2**20} MiB.",
        hint="Ask for fewer instances at once, or for another signature.",
    )


def malformed(url: str, what: str) -> RequestError:
    """Returns the error for an answer that no TensorFlow Serving gives; `what` says what is wrong with it."""
    return RequestError(
        f"The server at {shown_url(url)} did not answer as TensorFlow Serving does: {what}.", hint=_NOT_REST
    )


def no_answer(verb: str, why: str | None = None) -> RequestError:
    """Returns the error for JSON that is not the answer to `verb`, such as ``predict``; `why` says what is wrong."""
    return RequestError(
        f"The answer is not one that TensorFlow Serving gives to {verb}{f': {why}' if why else ''}.",
        hint="tfserve predict, classify and regress show it as it is with --json.",
    )


def redirected(url: str, location: str) -> RequestError:
    """Returns the error for a redirect, which is never followed: it would send the request to somebody else."""
    return RequestError(
        f"The server at {shown_url(url)} redirects to {printable(location, limit=200)!r}.",
        hint="TensorFlow Serving does not redirect. If that is where the server is, give it with --url.",
    )


def refusal(url: str, status: int, body: bytes) -> RefusedError:
    """Returns the error for an HTTP status of 400 or more, with the server's own message where it gives one."""
    try:
        reason = read_json(body)["error"]
        reason = reason if isinstance(reason, str) else None
    except (ValueError, LookupError, TypeError):
        reason = None
    if reason is None:
        phrase = http.client.responses.get(status, "")
        return RefusedError(
            f"The server at {shown_url(url)} {_verb(status)} the request: HTTP {status} {phrase}".rstrip() + ".",
            status=status,
            reason=None,
            hint=_NOT_REST if status < 500 else "Its log may say more: tfserve logs",
        )
    return refused(status, reason)


def refused(status: int, reason: str) -> RefusedError:
    """Returns the error for a request that the server refused or failed, with its own message.

    Args:
        status: the HTTP status, 400 or more, or the one that a gRPC code stands for.
        reason: the message, as it came.
    """
    return RefusedError(
        f"The server {_verb(status)} the request: {printable_lines(reason.strip(), limit=_MAX_REASON)}",
        status=status,
        reason=reason,
        hint=_refusal_hint(status, reason),
    )


def failure(error: BaseException, url: str, seconds: float) -> RequestError:
    """Returns the error that a user understands for one of http.client, requests, urllib3, ssl or the system.

    Args:
        error: what was raised; its causes say more than itself.
        url: what was asked.
        seconds: how long an answer was waited for.
    """
    causes = list(_causes(error))

    def caused_by(*kinds: type[BaseException]) -> BaseException | None:
        return next((cause for cause in causes if isinstance(cause, kinds)), None)

    where = shown_url(url)
    if caused_by(ConnectionRefusedError):
        return not_listening(url)
    if unknown := caused_by(socket.gaierror):
        return unknown_host(url, str(unknown.args[-1]))
    if refused := caused_by(ssl.SSLError):
        return RequestError(
            f"No secure connection to {where}: {printable(str(refused.args[-1]))}.",
            hint="TensorFlow Serving itself speaks http, not https.",
        )
    if caused_by(TimeoutError):
        return timed_out(url, seconds)
    if caused_by(ConnectionError, http.client.IncompleteRead) or any(
        isinstance(cause, OSError) and cause.errno == errno.EPIPE for cause in causes
    ):
        return dropped(url)
    if caused_by(http.client.HTTPException):
        return malformed(url, "it does not speak HTTP")
    system = next((cause for cause in causes if isinstance(cause, OSError) and cause.strerror), None)
    reason = system.strerror if isinstance(system, OSError) else str(causes[-1]) or type(causes[-1]).__name__
    return RequestError(
        f"The server at {where} cannot be asked: {printable(str(reason), limit=300)}.",
        hint="Is the address right, and is it reachable from here?",
    )


def _verb(status: int) -> str:
    return "refused" if status < 500 else "failed"


def _refusal_hint(status: int, reason: str) -> str:
    if "version label" in reason:
        return "tfserve models shows the labels that there are."
    if status == 404:
        return "Is the name right, and is that version loaded? tfserve status shows what the server serves."
    if status >= 500:
        return "Its log may say more: tfserve logs"
    return "tfserve metadata shows what the model takes."


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yields `error` and all that led to it; urllib3 keeps the cause in `reason` or in the arguments as well."""
    waiting, seen = [error], set[int]()
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        linked = (current.__cause__, current.__context__, getattr(current, "reason", None), *current.args)
        waiting.extend(cause for cause in linked if isinstance(cause, BaseException))
