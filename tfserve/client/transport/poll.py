"""A GET that costs as little as possible, for whoever asks every few milliseconds until a server is there.

http.client on a socket of its own: no session, no proxies, and no import of requests while a model server wants the
processor for its start.
"""

from __future__ import annotations

import functools
import http.client
import socket
import time
from typing import Any
from urllib.parse import urlsplit

from tfserve.client.failures import failure, too_large
from tfserve.client.transport.deadline import Deadline, TimedResponse
from tfserve.client.transport.reply import HttpReply

__all__ = ["fetch"]


def fetch(url: str, path: str, timeout: float, limit: int) -> HttpReply:
    """Sends ``GET path`` to the server at `url` and reads the whole answer.

    Args:
        url: the server, by http.
        path: what to get, behind the path that `url` may have.
        timeout: how long all of it may take at most, in seconds.
        limit: how many bytes the answer may have at most.

    Raises:
        RequestError: no complete answer within time and size.
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
        if response.length:  # read(n) does not mind that less than the promised length came
            raise http.client.IncompleteRead(content)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise failure(error, url, timeout) from None
    finally:
        connection.close()
    latency_ms = (time.perf_counter() - begin) * 1e3
    return HttpReply(response.status, response.headers.get("Location", ""), content, latency_ms)


def _connect(host: str, port: int, deadline: Deadline) -> socket.socket:
    """Returns a connection to the first address of `host` that takes one."""
    refused: OSError = ConnectionRefusedError()
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        connected = socket.socket(family, kind, protocol)
        try:
            deadline.hold(connected)
            connected.connect(address)
        except OSError as error:
            connected.close()
            refused = error
        else:
            return connected
    raise refused
