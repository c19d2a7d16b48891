"""The SDK's client with limits for what an engine can answer: size, nesting and time.

Any program may listen where an engine is expected. The SDK reads an answer completely, whatever its size, waits again
for each byte, decompresses, follows redirects, and keeps a line of a stream until it ends.
"""

from __future__ import annotations

import http.client
import io
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import docker
import docker.errors
from docker import APIClient
from requests.adapters import HTTPAdapter

from tfserve.client.json_document import read_json, read_json_stream
from tfserve.host.deadline import Deadline, LimitedLines, TimedResponse
from tfserve.protos.json_memory import json_memory

__all__ = ["BoundedClient", "BoundedDocker"]

_MAX_ANSWER_BYTES = 64 * 2**20
_MAX_ANSWER_MEMORY = 512 * 2**20
_MAX_HEAD_BYTES = 2**20
_MAX_MESSAGE_BYTES = 4 * 2**20  # an event of a pull, a push or a build
_MAX_MESSAGES = 10_000_000
_MAX_SHOWN = 2000  # characters of an error
_PIECE_BYTES = 2**16
_FRAME_HEADER_BYTES = 8
_request = threading.local()  # what `_BoundedAdapter.send` is sending in this thread
_NOT_MODIFIED = 304  # a container to start is running already, or one to stop is not


class BoundedDocker(docker.DockerClient):  # type: ignore[misc, unused-ignore]
    """Makes a `BoundedClient` from the environment."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.api = BoundedClient(*arguments, **options)


class BoundedClient(APIClient):  # type: ignore[misc, unused-ignore]
    """A client whose methods raise ValueError for an answer of the wrong form, or too large a one."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.headers["Accept-Encoding"] = "identity"
        for adapter in self.adapters.values():
            adapter.__class__ = type("Bounded", (_BoundedAdapter, type(adapter)), {})

    def get_redirect_target(self, resp: Any) -> str | None:
        """Returns None: an engine does not redirect, and requests would send credentials to another host."""
        return None

    def _raise_for_status(self, response: Any) -> None:
        if response.status_code >= 400:
            text = json.dumps({"message": _message(response)}).encode()
            response._content, response._content_consumed, response.encoding = text, True, "utf-8"
        elif response.status_code >= 300 and response.status_code != _NOT_MODIFIED:
            raise ValueError(f"HTTP status {response.status_code}")
        super()._raise_for_status(response)

    def _result(self, response: Any, json: bool = False, binary: bool = False) -> Any:
        self._raise_for_status(response)
        if binary:
            return response.content
        return _document(response.content) if json else response.content.decode(errors="replace")

    def _stream_helper(self, response: Any, decode: bool = False) -> Iterator[Any]:
        self._raise_for_status(response)
        if not decode:
            yield from _pieces(response)
            return
        for count, message in enumerate(read_json_stream(_pieces(response), _MAX_MESSAGE_BYTES)):
            if count > _MAX_MESSAGES:
                raise ValueError("too many messages")
            yield message

    def _stream_raw_result(self, response: Any, chunk_size: int = 1, decode: bool = True) -> Iterator[bytes]:
        self._raise_for_status(response)
        self._wait_as_long_as_needed(response)
        yield from _pieces(response)

    def _multiplexed_response_stream_helper(self, response: Any) -> Iterator[bytes]:
        """Yields the output in the frames of a stream; a frame can be announced with 4 GiB."""
        self._wait_as_long_as_needed(response)
        reader = response.raw._fp
        while len(header := reader.read(_FRAME_HEADER_BYTES)) == _FRAME_HEADER_BYTES:
            left = int.from_bytes(header[4:], "big")
            while left and (piece := reader.read1(min(left, _PIECE_BYTES))):
                left -= len(piece)
                yield piece

    def _wait_as_long_as_needed(self, response: Any) -> None:
        """Disables the timeout of a log that is followed, which is silent until something happens."""
        if "follow=1" in str(response.url):
            self._disable_socket_timeout(self._get_raw_response_socket(response))


class _BoundedAdapter(HTTPAdapter):
    """Limits the responses of the adapter that it is mixed into."""

    def send(
        self,
        request: Any,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> Any:
        _request.stream, _request.timeout = stream, timeout
        return super().send(request, stream, timeout, verify, cert, proxies)

    def get_connection(self, *arguments: Any, **options: Any) -> Any:
        return _with_responses(super().get_connection(*arguments, **options))

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        return _with_responses(super().get_connection_with_tls_context(*arguments, **options))


def _with_responses(pool: Any) -> Any:
    """Makes the new connections of a pool create bounded responses."""
    if "_new_conn" not in vars(pool):
        original = pool._new_conn

        def new_connection() -> Any:
            connection = original()
            connection.response_class = _response
            return connection

        pool._new_conn = new_connection
    return pool


def _response(connected: Any, **options: Any) -> http.client.HTTPResponse:
    if isinstance(connected, socket.socket):
        return _BoundedResponse(connected, **options)
    # SSH and named pipes have objects of their own, without a timeout; the SDK reads streams from them directly.
    response = http.client.HTTPResponse(connected, **options)
    if not _request.stream:
        response.fp = LimitedLines(_Counted(response.fp, Deadline(None, _MAX_ANSWER_BYTES)))
    return response


class _Counted(io.RawIOBase):
    def __init__(self, file: Any, limits: Deadline) -> None:
        self._file = file
        self._limits = limits

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._file.read1(len(buffer))
        buffer[: len(piece)] = piece
        self._limits.received(len(piece))
        return len(piece)

    def close(self) -> None:
        self._file.close()
        super().close()


class _BoundedResponse(TimedResponse):
    """A response with a limit of time and size; or a stream, of which only what comes before it is limited."""

    def __init__(self, connected: socket.socket, **options: Any) -> None:
        self._stream, timeout = _request.stream, _request.timeout
        self._seconds = timeout if isinstance(timeout, int | float) else None
        self._limits = _Limits(self._seconds, _MAX_HEAD_BYTES)
        self._connected = connected
        super().__init__(connected, deadline=self._limits, **options)

    def begin(self) -> None:
        super().begin()
        del self.headers["Content-Encoding"]  # it was not accepted, and would be decompressed without limit
        if self._stream and self.status < 400:
            self._limits.end()
            self._connected.settimeout(self._seconds)
        else:
            self._limits.allow(_MAX_ANSWER_BYTES)

    def _close_conn(self) -> None:
        if not self._limits.ended:
            self._connected.settimeout(self._seconds)  # for the next request on this connection
        super()._close_conn()  # type: ignore[misc]


class _Limits(Deadline):
    ended = False

    def end(self) -> None:
        """Removes the limits."""
        self.ended = True

    def allow(self, size: int) -> None:
        """Allows this many further bytes."""
        self._left = size

    def apply_to(self, connected: socket.socket) -> None:
        if not self.ended:
            super().apply_to(connected)

    def received(self, count: int) -> None:
        if not self.ended:
            super().received(count)


def _document(content: bytes) -> Any:
    if json_memory(content) > _MAX_ANSWER_MEMORY:
        raise ValueError("too many values")
    return read_json(content)


def _message(response: Any) -> str:
    """Returns the message of an error, which is text or an object with a message."""
    try:
        content: bytes = response.content
    except (OSError, http.client.HTTPException, docker.errors.DockerException):  # it is too large, or incomplete
        return ""
    try:
        message = read_json(content[: _MAX_MESSAGE_BYTES + 1])["message"]
    except (ValueError, LookupError, TypeError):
        message = content[: 4 * _MAX_SHOWN].decode(errors="replace")
    return message[:_MAX_SHOWN] if isinstance(message, str) else ""


def _pieces(response: Any) -> Iterator[bytes]:
    """Yields the body of a response as it arrives; http.client reads a chunk of any size in pieces."""
    reader = response.raw._fp
    while piece := reader.read1(_PIECE_BYTES):
        yield piece
