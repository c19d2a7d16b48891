"""The gRPC channel to a server: with or without TLS, for messages of any size."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from tfserve.addresses import in_url, is_loopback
from tfserve.defaults import GRPC_PORT

__all__ = ["open_channel"]


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
