"""Connections of HTTP/2 that behave as no library would: they leave calls incomplete and answers unread."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections import defaultdict
from types import TracebackType

from tfserve.protos.wire import varint

_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_INITIAL_WINDOW_SIZE = 4  # a setting
_MAX_FRAME = 16384
_CANCEL = 8
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Connection:
    """A connection to a gRPC port, which reads only in `read` and in `send`, as far as the server's windows require.

    Args:
        host: the server.
        port: its gRPC port.
        window: how many bytes of each answer the server may send.

    Attributes:
        sent: bytes of messages that were sent.
        answering: streams that the server has begun to answer.
        ended: streams that the server has ended, by answering or refusing.
    """

    def __init__(self, host: str, port: int, window: int = 65535) -> None:
        self._socket = socket.create_connection((host, port), timeout=20)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        self._next = 1
        self._window = 65535
        self._initial_window = 65535
        self._windows: dict[int, int] = defaultdict(lambda: self._initial_window)
        self.sent = 0
        self.answering: set[int] = set()
        self.ended: set[int] = set()
        self._socket.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW_SIZE, window)))

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def open(self, method: str, calls: int = 1, compression: str = "identity", extra: bytes = b"") -> list[int]:
        """Opens calls of ``Service/Method`` without their messages; returns their streams.

        Args:
            method: the method.
            calls: how many calls.
            compression: the name of the compression of their messages.
            extra: more headers, as HPACK encodes them.
        """
        streams = list(range(self._next, self._next + 2 * calls, 2))
        self._next += 2 * calls
        fields = _fields(method, compression) + extra
        self._socket.sendall(b"".join(_frame(_HEADERS, _END_HEADERS, stream, fields) for stream in streams))
        return streams

    def continue_headers(self, method: str, part: bytes, repeat: int) -> None:
        """Opens a call whose headers go on with a header of `part`, again and again, and do not end."""
        stream, self._next = self._next, self._next + 2
        more = _frame(_CONTINUATION, 0, stream, b"\0" + _text("x-a") + _length(len(part)) + part)
        self._socket.sendall(_frame(_HEADERS, 0, stream, _fields(method, "identity")))
        for _ in range(repeat):
            self._socket.sendall(more)

    def call(self, method: str, message: bytes) -> int:
        """Sends a whole call; returns its stream."""
        (stream,) = self.open(method)
        self.send(stream, prefixed(message), end=True)
        return stream

    def reset(self, streams: list[int]) -> None:
        """Cancels calls."""
        self._socket.sendall(b"".join(_frame(_RST_STREAM, 0, stream, struct.pack(">I", _CANCEL)) for stream in streams))

    def send(self, stream: int, data: bytes, end: bool = False, frame: int = _MAX_FRAME, patience: float = 5) -> bool:
        """Sends a part of a message in frames of `frame` bytes; returns whether the server let all of it be sent."""
        view, position = memoryview(data), 0
        while position < len(data):
            room = min(self._window, self._windows[stream], 1 << 20, len(data) - position)
            if room <= 0:
                if stream in self.ended or not self.read(patience):
                    return False
                continue
            self._window -= room
            self._windows[stream] -= room
            pieces = range(position, position + room, frame)
            stop = position + room
            self._socket.sendall(
                b"".join(
                    _frame(
                        _DATA,
                        _END_STREAM if end and min(begin + frame, stop) == len(data) else 0,
                        stream,
                        view[begin : min(begin + frame, stop)],
                    )
                    for begin in pieces
                )
            )
            position = stop
            self.sent += room
        return True

    def read(self, patience: float = 0) -> bool:
        """Reads what the server has sent; returns whether there was something within `patience` seconds."""
        self._socket.settimeout(max(patience, 0.001))
        try:
            data = self._socket.recv(1 << 20)
        except TimeoutError:
            return False
        finally:
            self._socket.settimeout(20)
        if not data:
            raise ConnectionResetError("the server has closed the connection")
        self._received += data
        while len(self._received) >= 9:
            length = int.from_bytes(self._received[:3], "big")
            if len(self._received) < 9 + length:
                break
            kind, flags, stream = self._received[3], self._received[4], int.from_bytes(self._received[5:9], "big")
            self._on_frame(kind, flags, stream, self._received[9 : 9 + length])
            self._received = self._received[9 + length :]
        return True

    def read_until(self, deadline: float) -> None:
        """Reads until a point in time (monotonic), or the end of the connection."""
        with contextlib.suppress(OSError):
            while (left := deadline - time.monotonic()) > 0:
                self.read(min(left, 1))

    def _on_frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _SETTINGS and not flags & _ACK:
            for number, value in struct.iter_unpack(">HI", payload):
                if number == _INITIAL_WINDOW_SIZE:
                    for open_stream in self._windows:
                        self._windows[open_stream] += value - self._initial_window
                    self._initial_window = value
            self._socket.sendall(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._socket.sendall(_frame(_PING, _ACK, 0, payload))
        elif kind == _WINDOW_UPDATE:
            if stream:
                self._windows[stream] += int.from_bytes(payload, "big")
            else:
                self._window += int.from_bytes(payload, "big")
        elif kind == _HEADERS and not flags & _END_STREAM:
            self.answering.add(stream)
        elif kind == _RST_STREAM or (stream and flags & _END_STREAM):
            self.ended.add(stream)
        elif kind == _GOAWAY:
            raise ConnectionResetError(f"the server ends the connection: {payload[8:].decode(errors='replace')}")


def prefixed(message: bytes, declared: int | None = None, compressed: bool = False) -> bytes:
    """Returns a message with its header; `declared` is the length in it, if it differs."""
    return struct.pack(">BI", compressed, len(message) if declared is None else declared) + message


def indexed(name: str, size: int) -> bytes:
    """Returns a header of `size` bytes, more than 127, that HPACK puts into its dynamic table."""
    return b"\x40" + _text(name) + _length(size) + b"b" * size


def _length(size: int) -> bytes:
    """Returns the length of a text of more than 127 bytes, as HPACK encodes it."""
    return b"\x7f" + varint(size - 127)


def _fields(method: str, compression: str) -> bytes:
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": method if method.startswith("/") else f"/tensorflow.serving.{method}",
        ":authority": "localhost",
        "content-type": "application/grpc",
        "te": "trailers",
        "grpc-encoding": compression,
    }
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in headers.items())


def _frame(kind: int, flags: int, stream: int, payload: bytes | memoryview) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _text(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()
