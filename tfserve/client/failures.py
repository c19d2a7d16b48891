"""The failures of requests, each with a hint for the user.

Code that waits for a server distinguishes them by class; other code catches `RequestError`. Their exit code is 8.
"""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from tfserve.client.json_document import read_json
from tfserve.errors import RequestError, Wording
from tfserve.text import printable, printable_lines

__all__ = [
    "UNIX",
    "DroppedError",
    "NotListeningError",
    "RefusedError",
    "TimedOutError",
    "display_url",
    "dropped",
    "failure",
    "malformed",
    "malformed_document",
    "not_listening",
    "redirected",
    "refusal",
    "refused",
    "timed_out",
    "too_complex",
    "too_large",
    "too_slow_to_read",
    "unknown_host",
]

UNIX = "unix"
"""The scheme of a URL that is the path of a UNIX socket."""

_NOT_REST = "Is this the REST port of TensorFlow Serving? By default, 8501 is REST and 8500 is gRPC."
_MAX_REASON = 2000  # characters of a server's message


class NotListeningError(RequestError):
    """Nothing listens at the address: the server is not running, or is still loading its models.

    TensorFlow Serving opens its ports only when its models are AVAILABLE.
    """


class DroppedError(RequestError):
    """The connection was closed before the response was complete: the server was stopped, or crashed.

    Docker's port proxy accepts connections before the server in the container listens, and then closes them, so that a
    server which is still loading causes this error too.
    """


class TimedOutError(RequestError):
    """No complete response arrived in time."""


class RefusedError(RequestError):
    """The server responded with an HTTP error, or the gRPC equivalent.

    Attributes:
        status: the HTTP status, 400 or more.
        reason: the server's own message, unchanged and not escaped; None if it sent none.
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


def display_url(url: str) -> str:
    """Returns the scheme, host and port of `url`, without a user name and password; or the path of a UNIX socket."""
    parts = urlsplit(url)
    if parts.scheme == UNIX:
        return printable(unquote(parts.path))
    return printable(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")


def not_listening(url: str) -> NotListeningError:
    """Returns the error for an address that refuses connections."""
    return NotListeningError(
        f"Nothing listens at {display_url(url)}.",
        hint="It may not be running, or may still be loading its model; check with tfserve ps.",
    )


def dropped(url: str) -> DroppedError:
    """Returns the error for a connection that was closed before the response was complete."""
    return DroppedError(
        f"The server at {display_url(url)} closed the connection before responding.",
        hint="It may still be loading, or have stopped or crashed; check with tfserve ps and tfserve logs.",
    )


def unknown_host(url: str, reason: str | None = None) -> RequestError:
    """Returns the error for a host name that cannot be resolved; `reason` is the system's, if known."""
    why = f": {printable(reason)}" if reason else ""
    return RequestError(
        f"The host of {display_url(url)} cannot be resolved{why}.",
        hint="Check the host name, and the DNS of this machine.",
    )


def timed_out(url: str, seconds: float) -> TimedOutError:
    """Returns the error for a response that was not complete after `seconds`."""
    return TimedOutError(
        f"The server at {display_url(url)} did not respond within {seconds:g} s.",
        hint=Wording("Set a larger {timeout}, or check what the server is doing with tfserve logs."),
    )


def too_slow_to_read(url: str, seconds: float) -> TimedOutError:
    """Returns the error for a response that arrived, but could not be read within `seconds` from the request."""
    return TimedOutError(
        f"The server at {display_url(url)} responded, but its response could not be read within {seconds:g} s.",
        hint=Wording("Set a larger {timeout}, or send fewer instances per request."),
    )


def too_large(url: str, limit: int) -> RequestError:
    """Returns the error for a response of more than `limit` bytes."""
    return RequestError(
        f"The response of the server at {display_url(url)} is larger than {limit // 2**20} MiB.",
        hint="Send fewer instances per request, or use another signature.",
    )


def too_complex(url: str) -> RequestError:
    """Returns the error for a response with more values than a client can hold."""
    return RequestError(
        f"The response of the server at {display_url(url)} has too many values.",
        hint="Send fewer instances per request, or use another signature.",
    )


def malformed(url: str, what: str) -> RequestError:
    """Returns the error for a response that is not one of TensorFlow Serving; `what` is the first difference."""
    return RequestError(
        f"The server at {display_url(url)} did not respond as TensorFlow Serving does: {what}.", hint=_NOT_REST
    )


def malformed_document(method: str, why: str | None = None) -> RequestError:
    """Returns the error for JSON that is not a response to `method`; `why` is the first difference."""
    return RequestError(
        f"The response is not a valid {method} response{f': {why}' if why else ''}.",
        hint="With --json, tfserve predict, classify and regress print a response unchanged.",
    )


def redirected(url: str, location: str) -> RequestError:
    """Returns the error for a redirect; redirects are not followed, as they would send the request to another host."""
    return RequestError(
        f"The server at {display_url(url)} redirects to {printable(location, limit=200)!r}.",
        hint=Wording("TensorFlow Serving does not redirect. If this is the address of the server, give it as {url}."),
    )


def refusal(url: str, status: int, body: bytes) -> RefusedError:
    """Returns the error for an HTTP status of 400 or more, with the server's own message if it sent one."""
    try:
        reason = read_json(body)["error"]
        reason = reason if isinstance(reason, str) else None
    except (ValueError, LookupError, TypeError):
        reason = None
    if reason is None:
        phrase = http.client.responses.get(status, "")
        return RefusedError(
            f"The server at {display_url(url)} {_participle(status)} the request: HTTP {status} {phrase}".rstrip()
            + ".",
            status=status,
            reason=None,
            hint=_NOT_REST if status < 500 else "Its log may contain more details: tfserve logs",
        )
    return refused(status, reason)


def refused(status: int, reason: str) -> RefusedError:
    """Returns the error for a request that the server refused or failed, with its own message.

    Args:
        status: the HTTP status, 400 or more, or the equivalent of a gRPC code.
        reason: the server's message, unchanged.
    """
    return RefusedError(
        f"The server {_participle(status)} the request: {printable_lines(reason.strip(), limit=_MAX_REASON)}",
        status=status,
        reason=reason,
        hint=_refusal_hint(status, reason),
    )


def failure(error: BaseException, url: str, seconds: float) -> RequestError:
    """Returns the error to show for an exception of http.client, requests, urllib3, ssl or the system.

    Args:
        error: the exception; its causes contain the actual reason.
        url: the address of the server.
        seconds: the timeout.
    """
    causes = list(_causes(error))

    def caused_by(*kinds: type[BaseException]) -> BaseException | None:
        return next((cause for cause in causes if isinstance(cause, kinds)), None)

    where = display_url(url)
    if caused_by(ConnectionRefusedError):
        return not_listening(url)
    if unknown := caused_by(socket.gaierror):
        return unknown_host(url, str(unknown.args[-1]))
    if refused := caused_by(ssl.SSLError):
        return RequestError(
            f"No secure connection to {where}: {printable(str(refused.args[-1]))}.",
            hint="TensorFlow Serving itself serves REST over http, not https.",
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
        f"The request to the server at {where} failed: {printable(str(reason), limit=300)}.",
        hint="Check the address, and that this machine can reach it.",
    )


def _participle(status: int) -> str:
    return "refused" if status < 500 else "failed"


def _refusal_hint(status: int, reason: str) -> str:
    if "version label" in reason:
        return "tfserve models lists the labels."
    if status == 404:
        return "Check the name and the version; tfserve status shows what the server serves."
    if status >= 500:
        return "Its log may contain more details: tfserve logs"
    return "tfserve metadata shows the inputs of the model."


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yields `error` and all its causes, which urllib3 also keeps in `reason` and in the arguments."""
    waiting, seen = [error], set[int]()
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        linked = (current.__cause__, current.__context__, getattr(current, "reason", None), *current.args)
        waiting.extend(cause for cause in linked if isinstance(cause, BaseException))
