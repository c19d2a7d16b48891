"""What gRPC says of a call that failed, as the errors that REST has too."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from tfserve.addresses import in_url, is_loopback
from tfserve.client.failures import dropped, not_listening, refused, shown_url, timed_out, unknown_host
from tfserve.defaults import GRPC_PORT
from tfserve.errors import RequestError
from tfserve.text import printable

__all__ = ["call_failure", "open_channel"]

# Of HTTP, as ``ToHTTPStatusCode`` of TensorFlow Serving has it; any other code is a failure of the server, 500.
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
_BROKEN = ("connect", "socket", "goaway", "recvmsg", "broken pipe", "reset", "cancelling", "transport", "endpoint")


def call_failure(error: Any, url: str, seconds: float) -> RequestError:
    """Returns the error that a user understands for a ``grpc.RpcError``.

    Args:
        error: what a call raised, with its code and details.
        url: what was asked.
        seconds: how long an answer was waited for.
    """
    code, details = error.code().name, error.details() or ""
    if code == "DEADLINE_EXCEEDED":
        return timed_out(url, seconds)
    if code == "UNAVAILABLE":
        return _unavailable(details, url)
    if code in ("INTERNAL", "UNKNOWN", "UNIMPLEMENTED") and ("http" in details.lower() or "content-type" in details):
        return _not_grpc(url)
    return refused(_HTTP_STATUS.get(code, 500), details)


def _unavailable(details: str, url: str) -> RequestError:
    told = details.lower()
    if "http1.x" in told or "http2 server" in told or "settings frame" in told:
        return _not_grpc(url)
    if "connection refused" in told:
        return not_listening(url)
    if "dns" in told or "name resolution" in told:
        return unknown_host(url)
    if "handshake" in told or "ssl" in told or "peer name" in told:
        return RequestError(
            f"No secure connection to {shown_url(url)}: {printable(details, limit=300)}",
            hint="GRPC_DEFAULT_SSL_ROOTS_FILE_PATH names a file of the certificates to trust."
            if "certificate" in told or "peer name" in told
            else "A server without --ssl_config_file speaks no TLS: leave https:// out.",
        )
    if not any(sign in told for sign in _BROKEN):
        return refused(503, details)
    return dropped(url)


def _not_grpc(url: str) -> RequestError:
    return RequestError(
        f"The server at {shown_url(url)} does not speak gRPC.",
        hint="Is this the gRPC port of a TensorFlow Serving server? gRPC is 8500 by default; 8501 is REST.",
    )


def open_channel(url: str) -> Any:
    """Returns a ``grpc.Channel`` to `url`, which connects at the first call.

    Hosts of this machine are reached directly, whatever http_proxy says. Behind ``https://`` the server has to show a
    certificate that gRPC trusts; ``GRPC_DEFAULT_SSL_ROOTS_FILE_PATH`` names a file of others than the usual ones.
    """
    import grpc

    parts = urlsplit(url)
    host = parts.hostname or ""
    target = f"{in_url(host)}:{parts.port or GRPC_PORT}"
    options = [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
        ("grpc.enable_retries", 0),  # whatever fails is told, once
        ("grpc.enable_http_proxy", 0 if is_loopback(host) else 1),
    ]
    if parts.scheme == "https":
        return grpc.secure_channel(target, grpc.ssl_channel_credentials(), options)
    return grpc.insecure_channel(target, options)
