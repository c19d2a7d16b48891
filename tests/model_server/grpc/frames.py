"""A gRPC call as bytes of HTTP/2, for clients that behave as no library would."""

from __future__ import annotations

import struct

__all__ = ["DATA", "call", "data", "frames_in", "open_call"]

DATA, HEADERS, SETTINGS = 0, 1, 4
_END_STREAM, _END_HEADERS = 1, 4


def call(method: str, message: bytes) -> bytes:
    """Returns a connection's preface and the whole call of ``Service/Method``."""
    return open_call(method) + data(message)


def open_call(method: str) -> bytes:
    """Returns a connection's preface and the head of a call, without its message."""
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": f"/tensorflow.serving.{method}",
        ":authority": "localhost",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    fields = b"".join(b"\0" + _text(name) + _text(value) for name, value in headers.items())
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(SETTINGS, 0, 0, b"")
    return preface + _frame(HEADERS, _END_HEADERS, 1, fields)


def data(message: bytes, declared: int | None = None) -> bytes:
    """Returns the message of a call, at most 16 KiB; `declared` is the length in its header, if it differs."""
    length = len(message) if declared is None else declared
    return _frame(DATA, _END_STREAM if declared is None else 0, 1, struct.pack(">BI", 0, length) + message)


def frames_in(received: bytes) -> list[tuple[int, bytes]]:
    """Returns the type and the payload of each complete frame."""
    frames = []
    while len(received) >= 9 and len(received) >= 9 + (length := int.from_bytes(received[:3], "big")):
        frames.append((received[3], received[9 : 9 + length]))
        received = received[9 + length :]
    return frames


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _text(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()
