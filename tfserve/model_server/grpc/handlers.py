"""How the methods of every gRPC service are called, and how their errors become statuses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc

from tfserve.model_server import log
from tfserve.model_server.status import Code, StatusError

Answer = Callable[[bytes, Any], Awaitable[bytes]]
"""Answers the serialized message of a call, whose context is the second argument, with a serialized message."""

_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}
_MAX_MESSAGE_BYTES = (1 << 31) - 1  # the limit of Protocol Buffers
_MAX_ERROR_BYTES = 1024  # the official server truncates error messages at the same length


def service_handler(service: str, answers: Mapping[str, Answer]) -> grpc.GenericRpcHandler:
    """Returns the handler of a service in ``tensorflow.serving``.

    Args:
        service: its name, such as ``ModelService``.
        answers: how each of its methods is answered.
    """
    handlers = {name: grpc.unary_unary_rpc_method_handler(_handler(name, answer)) for name, answer in answers.items()}
    return grpc.method_handlers_generic_handler(f"tensorflow.serving.{service}", handlers)


def _handler(method: str, answer: Answer) -> Answer:
    """Returns a handler that calls `answer` and turns every error into a gRPC status."""

    async def handle(body: bytes, context: Any) -> bytes:
        try:
            response = await answer(body, context)
            if len(response) > _MAX_MESSAGE_BYTES:
                raise StatusError(
                    Code.RESOURCE_EXHAUSTED, f"The response would have {len(response)} bytes; the limit is 2 GiB"
                )
            return response
        except StatusError as failure:
            code, message = failure.code, failure.message
        except Exception as failure:  # any error: the client gets a well-formed status
            log.error(f"{method}: {type(failure).__name__}: {failure}")
            code, message = Code.INTERNAL, f"{type(failure).__name__} in the server"
        await context.abort(_STATUS_CODES[code], _truncate(message))
        return b""

    return handle


def _truncate(message: str) -> str:
    encoded = message.encode(errors="replace")
    if len(encoded) <= _MAX_ERROR_BYTES:
        return encoded.decode()
    return encoded[:_MAX_ERROR_BYTES].decode(errors="ignore") + "...TRUNCATED"
