"""Channels of gRPC, and the errors of failed calls as the errors of the REST client."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tfserve.addresses import in_url, is_this_machine
from tfserve.client.failures import (
    UNIX,
    display_url,
    dropped,
    not_listening,
    refused,
    timed_out,
    too_large,
    unknown_host,
)
from tfserve.defaults import GRPC_PORT
from tfserve.errors import RequestError
from tfserve.host.unix_sockets import short_path
from tfserve.text import printable

__all__ = ["MAX_MESSAGE_BYTES", "call_failure", "open_channel", "open_socket", "socket_url"]

MAX_MESSAGE_BYTES = 512 * 2**20
"""Size of the largest response that is received."""

# The mapping of ``ToHTTPStatusCode`` in TensorFlow Serving; any other code is 500.
_HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
}
_MAX_METADATA_BYTES = 64 * 2**10
_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.absolute_max_metadata_size", _MAX_METADATA_BYTES),
    ("grpc.enable_retries", 0),  # every failure is reported, and only once
)
_BROKEN = ("connect", "socket", "goaway", "recvmsg", "broken pipe", "reset", "cancelling", "transport", "endpoint")


def call_failure(error: Any, url: str, seconds: float) -> RequestError:
    """Returns the error to show for a ``grpc.RpcError``.

    Args:
        error: the exception of the call, with its code and details.
        url: the address of the server.
        seconds: the timeout.
    """
    code, details = error.code().name, error.details() or ""
    if code == "DEADLINE_EXCEEDED":
        return timed_out(url, seconds)
    if code == "UNAVAILABLE":
        return _unavailable(details, url)
    # The limit tells the client's from that of the server, which older versions of grpcio do not name.
    if code == "RESOURCE_EXHAUSTED" and "Received message larger" in details and f"vs. {MAX_MESSAGE_BYTES})" in details:
        return too_large(url, MAX_MESSAGE_BYTES)
    if code in ("INTERNAL", "UNKNOWN", "UNIMPLEMENTED") and ("http" in details.lower() or "content-type" in details):
        return _not_grpc(url)
    return refused(_HTTP_STATUS.get(code, 500), details)


def _unavailable(details: str, url: str) -> RequestError:
    lowered = details.lower()
    if "http1.x" in lowered or "http2 server" in lowered or "settings frame" in lowered:
        return _not_grpc(url)
    if "connection refused" in lowered:
        return not_listening(url)
    if "dns" in lowered or "name resolution" in lowered:
        return unknown_host(url)
    if "handshake" in lowered or "ssl" in lowered or "peer name" in lowered:
        return RequestError(
            f"No secure connection to {display_url(url)}: {printable(details, limit=300)}",
            hint="Name a file of trusted certificates in GRPC_DEFAULT_SSL_ROOTS_FILE_PATH."
            if "certificate" in lowered or "peer name" in lowered
            else "A server without --ssl_config_file does not speak TLS: omit https://.",
        )
    if not any(sign in lowered for sign in _BROKEN):
        return refused(503, details)
    return dropped(url)


def _not_grpc(url: str) -> RequestError:
    return RequestError(
        f"The server at {display_url(url)} does not speak gRPC.",
        hint="Is this the gRPC port of TensorFlow Serving? By default, 8500 is gRPC and 8501 is REST.",
    )


def open_channel(url: str) -> Any:
    """Returns a ``grpc.Channel`` to `url`, which connects on the first call.

    No proxy is used for this machine itself. With ``https://``, gRPC has to trust the server's certificate;
    ``GRPC_DEFAULT_SSL_ROOTS_FILE_PATH`` can name a file of certificates to trust instead of the default ones.
    """
    import grpc

    parts = urlsplit(url)
    host = parts.hostname or ""
    target = f"{in_url(host)}:{parts.port or GRPC_PORT}"
    options = [*_OPTIONS, ("grpc.enable_http_proxy", 0 if is_this_machine(host) else 1)]
    if parts.scheme == "https":
        return grpc.secure_channel(target, grpc.ssl_channel_credentials(), options)
    return grpc.insecure_channel(target, options)


def socket_url(path: Path) -> str:
    """Returns a UNIX socket as a URL, for errors."""
    return f"{UNIX}://{quote(os.fsencode(path))}"


@contextmanager
def open_socket(path: Path) -> Iterator[Any]:
    """Yields a ``grpc.Channel`` to a UNIX socket, which connects on the first call; its path can have any length.

    Raises:
        RequestError: the socket does not exist.
    """
    import grpc

    try:
        short, directory = short_path(path)
    except OSError:
        raise not_listening(socket_url(path)) from None
    try:
        if not short.is_socket():
            raise not_listening(socket_url(path))
        with grpc.insecure_channel(f"{UNIX}:{quote(os.fsencode(short))}", _OPTIONS) as channel:
            yield channel
    finally:
        if directory is not None:
            os.close(directory)
