"""HTTP requests with a deadline and a size limit, on a connection of requests that stays open between them."""

from __future__ import annotations

import socket
import time
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from tfserve.addresses import is_this_machine
from tfserve.client.failures import failure, too_large
from tfserve.client.transport.reply import HttpReply
from tfserve.host.deadline import Deadline, TimedResponse
from tfserve.host.http_adapter import TimedAdapter

__all__ = ["Transport"]

MAX_ERROR_BYTES = 64 * 2**10
_CHUNK_BYTES = 64 * 2**10


class Transport:
    """A requests session for the server at `url`."""

    def __init__(self, url: str) -> None:
        self._deadline = Deadline(0)
        self._session = _Session()
        self._session.is_direct = is_this_machine(urlsplit(url).hostname or "")
        self._session.headers["Accept-Encoding"] = "identity"
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, TimedAdapter(self._response))

    def send(self, method: str, url: str, body: bytes | None, timeout: float, limit: int) -> HttpReply:
        """Sends one request and reads the whole response.

        Args:
            method: the HTTP method.
            url: the whole URL.
            body: JSON to send, or None.
            timeout: the maximum duration, in seconds. While connecting, it applies to each address of the host, and to
                each step of a TLS handshake.
            limit: the maximum size of the response, in bytes.

        Raises:
            RequestError: no complete response arrived within time and size.
        """
        headers = None if body is None else {"Content-Type": "application/json"}
        begin = time.perf_counter()
        self._deadline = Deadline(timeout)
        try:
            with self._session.request(
                method, url, data=body, headers=headers, timeout=timeout, stream=True, allow_redirects=False
            ) as response:
                content = _read(response, url, limit)
        except (OSError, HTTPError, ValueError) as error:  # the errors of requests and ssl are OSErrors
            raise failure(error, url, timeout) from None
        latency_ms = (time.perf_counter() - begin) * 1e3
        return HttpReply(response.status_code, response.headers.get("Location", ""), content, latency_ms)

    def close(self) -> None:
        """Closes the connection."""
        self._session.close()

    def _response(self, connected: socket.socket, **options: Any) -> TimedResponse:
        return TimedResponse(connected, deadline=self._deadline, **options)


class _Session(requests.Session):
    is_direct = False

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Returns the settings of the environment, without proxies for this machine itself."""
        settings = super().merge_environment_settings(url, proxies, stream, verify, cert)
        return {**settings, "proxies": {}} if self.is_direct else settings

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Returns None: otherwise requests reads the whole body of a redirect, even with ``allow_redirects=False``."""
        return None


def _read(response: requests.Response, url: str, limit: int) -> bytes:
    content = bytearray()
    if response.status_code >= 400:
        limit = MAX_ERROR_BYTES
    for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=False):
        content += chunk
        if len(content) > limit:
            if response.status_code >= 400:
                return bytes(content[:limit])
            raise too_large(url, limit)
    return bytes(content)
