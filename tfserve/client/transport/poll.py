"""A GET request at the lowest cost, for commands that read the status of servers, and for polling one that starts.

It uses http.client on a socket of its own, without a session or proxies. Importing requests instead would take CPU time
from a starting model server, and from ``tfserve ps``; see the package's docstring for the benchmark.
"""

from __future__ import annotations

import functools
import http.client
import socket
import time
from typing import Any
from urllib.parse import urlsplit

from tfserve.client.failures import failure, too_large
from tfserve.client.transport.reply import HttpReply
from tfserve.host.deadline import Deadline, TimedResponse

__all__ = ["fetch"]


def fetch(url: str, path: str, timeout: float, limit: int) -> HttpReply:
    """Sends ``GET path`` to the server at `url` and reads the whole response.

    Args:
        url: the address of the server, with http.
        path: the path, which is appended to the path of `url`.
        timeout: the maximum duration, in seconds.
        limit: the maximum size of the response, in bytes.

    Raises:
        RequestError: no complete response arrived within time and size.
    """
    parts = urlsplit(url)
    begin = time.perf_counter()
    deadline = Deadline(timeout)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80)
    timed: Any = functools.partial(TimedResponse, deadline=deadline)
    connection.response_class = timed
    try:
        connection.sock = _connect(connection.host, connection.port, deadline)
        connection.request("GET", parts.path + path, headers={"Connection": "close"})
        response = connection.getresponse()
        content = response.read(limit + 1)
        if len(content) > limit:
            raise too_large(url, limit)
        if response.length:  # read(n) ignores that less than the announced length arrived
            raise http.client.IncompleteRead(content)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise failure(error, url, timeout) from None
    finally:
        connection.close()
    latency_ms = (time.perf_counter() - begin) * 1e3
    return HttpReply(response.status, response.headers.get("Location", ""), content, latency_ms)


def _connect(host: str, port: int, deadline: Deadline) -> socket.socket:
    """Connects to the first address of `host` that accepts the connection."""
    refused: OSError = ConnectionRefusedError()
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        connected = socket.socket(family, kind, protocol)
        try:
            deadline.apply_to(connected)
            connected.connect(address)
        except OSError as error:
            connected.close()
            refused = error
        else:
            return connected
    raise refused
