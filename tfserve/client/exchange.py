"""One HTTP exchange through requests, held to a deadline and to a size.

The timeouts of requests are for each read, so a server that sends a byte now and then would hold a client for ever.
Here a timer closes the connection when the time is up, wherever the exchange is.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from tfserve.client.failures import failure, timed_out, too_large
from tfserve.client.reply import Reply

__all__ = ["Transport", "is_loopback"]

MAX_ERROR_BYTES = 64 * 2**10
_CHUNK_BYTES = 64 * 2**10


class Transport:
    """A requests session for the server at `url`, which keeps its connection open."""

    def __init__(self, url: str) -> None:
        self._sockets: list[socket.socket] = []
        self._session = _Session()
        self._session.is_direct = is_loopback(urlsplit(url).hostname or "")
        self._session.headers["Accept-Encoding"] = "identity"
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(self._sockets))

    def send(self, method: str, url: str, body: bytes | None, timeout: float, limit: int) -> Reply:
        """Sends one request and reads the whole answer.

        Args:
            method: the HTTP method.
            url: the whole URL.
            body: JSON to send, or None.
            timeout: how long all of it may take at most, in seconds.
            limit: how many bytes the answer may have at most.

        Raises:
            RequestError: no complete answer within time and size.
        """
        expired = threading.Event()
        timer = threading.Timer(timeout, self._expire, (expired,))
        timer.daemon = True
        begin = time.perf_counter()
        timer.start()
        try:
            headers = None if body is None else {"Content-Type": "application/json"}
            with self._session.request(
                method, url, data=body, headers=headers, timeout=timeout, stream=True, allow_redirects=False
            ) as response:
                content = _read(response, url, limit)
        except (OSError, HTTPError, ValueError, AttributeError) as error:
            # requests' and ssl's errors are OSErrors; a socket closed under a reader shows as one of the other two
            if expired.is_set():
                raise timed_out(url, timeout) from None
            raise failure(error, url, timeout) from None
        finally:
            timer.cancel()
        if expired.is_set():  # closed by the timer, which an answer without a length cannot tell from its end
            raise timed_out(url, timeout)
        latency_ms = (time.perf_counter() - begin) * 1e3
        return Reply(response.status_code, response.headers.get("Location", ""), content, latency_ms)

    def close(self) -> None:
        """Closes the connection."""
        self._session.close()

    def _expire(self, expired: threading.Event) -> None:
        expired.set()
        for connected in self._sockets:
            with contextlib.suppress(OSError):  # closed already
                socket.socket.shutdown(connected, socket.SHUT_RDWR)  # SSLSocket's own is not for another thread


class _Session(requests.Session):
    is_direct = False

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Returns what the environment says; but whatever HTTP_PROXY says, no proxy leads to this machine itself."""
        settings = super().merge_environment_settings(url, proxies, stream, verify, cert)
        return {**settings, "proxies": {}} if self.is_direct else settings

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Returns None: even told not to follow, requests would read the whole body of a redirect."""
        return None


class _Adapter(HTTPAdapter):
    """Tells `sockets` the socket of the connection that is open."""

    def __init__(self, sockets: list[socket.socket]) -> None:
        def tell(connected: socket.socket | None) -> None:
            sockets[:] = [] if connected is None else [connected]

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                tell(self.sock)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                tell(self.sock)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self._pools = {"http": PlainPool, "https": SecurePool}
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> PoolManager:
        manager: PoolManager = super().proxy_manager_for(*arguments, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager


def is_loopback(host: str) -> bool:
    """Returns whether `host`, a name or an address, is this machine."""
    host = host.rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


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
