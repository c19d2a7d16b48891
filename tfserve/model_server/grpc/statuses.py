"""Ends a call with a status other than OK."""

from __future__ import annotations

from typing import Any

import grpc

from tfserve.model_server.status import Code

_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}
_MAX_ERROR_BYTES = 1024  # the official server truncates error messages at the same length


async def abort(context: Any, code: Code, message: str) -> None:
    """Ends a call with a status; always raises ``AbortError``."""
    await context.abort(_STATUS_CODES[code], _truncate(message))


def _truncate(message: str) -> str:
    encoded = message[: _MAX_ERROR_BYTES + 1].encode(errors="replace")
    if len(encoded) <= _MAX_ERROR_BYTES:
        return encoded.decode()
    return encoded[:_MAX_ERROR_BYTES].decode(errors="ignore") + "...TRUNCATED"
