"""How the methods of every gRPC service are called, and what every call has in common."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import grpc
import grpc.aio

from tfserve.model_server import log
from tfserve.model_server.grpc.calls import Call, Calls
from tfserve.model_server.grpc.compression import decompressed, is_compressed
from tfserve.model_server.grpc.statuses import abort
from tfserve.model_server.status import Code, StatusError

Answer = Callable[[bytes, Call], Awaitable[bytes]]
"""Answers the serialized message of a call with a serialized message."""

_MAX_METADATA = 256
_MAX_METADATA_BYTES = 1 << 14  # gRPC's own limit for clients that have acknowledged it
_MAX_MESSAGE_BYTES = (1 << 31) - 1  # the limit of Protocol Buffers


class Method(NamedTuple):
    """A method of a service.

    Attributes:
        answer: how it is answered.
        max_bytes: the size of its largest message.
    """

    answer: Answer
    max_bytes: int


def service_handler(service: str, methods: Mapping[str, Method], calls: Calls) -> grpc.GenericRpcHandler:
    """Returns the handler of a service.

    Args:
        service: its full name, such as ``tensorflow.serving.ModelService``.
        methods: its methods.
        calls: all calls of the server.
    """
    return Service(service_handlers(service, methods, calls), calls)


def service_handlers(service: str, methods: Mapping[str, Method], calls: Calls) -> dict[str, grpc.RpcMethodHandler]:
    """Returns the handlers of the methods of a service: ``/SERVICE/METHOD`` -> its handler; see `service_handler`."""
    # A handler of streams is called before the message has arrived, so calls without a message are counted as well.
    return {
        f"/{service}/{name}": grpc.stream_unary_rpc_method_handler(_handler(name, method, calls))
        for name, method in methods.items()
    }


class Service(grpc.GenericRpcHandler):  # type: ignore[misc]  # the package has no types
    """Finds the handler of a call, and refuses one with more metadata than any client sends.

    Until a client has acknowledged gRPC's settings, gRPC takes 16 MB of metadata for each call, which can arrive as
    15 KB of references to one header. So the connection of such a call is ended.

    Args:
        handlers: ``/SERVICE/METHOD`` -> its handler.
        calls: all calls of the server.
    """

    def __init__(self, handlers: Mapping[str, grpc.RpcMethodHandler], calls: Calls) -> None:
        self._handlers = handlers
        self._refusal = grpc.stream_unary_rpc_method_handler(functools.partial(_refuse, calls))

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Returns the handler of a call; None if another service has it."""
        metadata = handler_call_details.invocation_metadata
        if len(metadata) > _MAX_METADATA or sum([len(value) for _, value in metadata]) > _MAX_METADATA_BYTES:
            return self._refusal
        return self._handlers.get(handler_call_details.method)


async def _refuse(calls: Calls, _: Any, context: Any) -> None:
    calls.disconnect(context.peer())
    await abort(context, Code.RESOURCE_EXHAUSTED, "The call has too much metadata")


def _handler(name: str, method: Method, calls: Calls) -> Callable[[Any, Any], Awaitable[bytes]]:
    """Returns a handler that reads one message, answers it, and turns every error into a gRPC status."""

    async def handle(_: Any, context: Any) -> bytes:
        call = None
        try:
            call = calls.begin(context)
            return await _respond(name, method, calls, call)
        except StatusError as failure:
            code, message = failure.code, failure.message
        except grpc.aio.AbortError:
            raise
        except Exception as failure:  # any error: the client gets a well-formed status
            log.error(f"{name}: {type(failure).__name__}: {failure}")
            code, message = Code.INTERNAL, f"{type(failure).__name__} in the server"
        if call is not None:
            calls.answered(call, 0)
        # The error that this raises keeps the variables of this function for long, so none of them is large.
        await abort(context, code, message)
        return b""

    return handle


async def _respond(name: str, method: Method, calls: Calls, call: Call) -> bytes:
    """Returns the response to a call.

    Raises:
        StatusError: the message or the response is too large, or the method's own errors.
    """
    answer, max_bytes = method
    body = await calls.read(call)
    if is_compressed(body):
        body = await decompressed(body, max_bytes)
        calls.hold(call, len(body))
    if len(body) > max_bytes:
        raise StatusError(
            Code.RESOURCE_EXHAUSTED, f"The message has {len(body)} bytes; the limit for {name} is {max_bytes}"
        )
    answering = answer(body, call)
    del body  # it may be large
    response = await answering
    if len(response) > _MAX_MESSAGE_BYTES:
        raise StatusError(Code.RESOURCE_EXHAUSTED, f"The response would have {len(response)} bytes; the limit is 2 GiB")
    calls.answered(call, len(response))
    return response
