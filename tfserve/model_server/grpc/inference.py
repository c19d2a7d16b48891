"""Answers the inference methods: judges a message before it is parsed, and its tensors before they are made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from google.protobuf.message import Message

from tfserve.model_server import turns
from tfserve.model_server.grpc.calls import Call, Calls
from tfserve.model_server.grpc.handlers import Answer
from tfserve.model_server.grpc.room import Room
from tfserve.model_server.inference.dispatcher import INLINE_BYTES, Dispatcher
from tfserve.model_server.inference.request import InferenceRequest
from tfserve.model_server.status import Code, StatusError
from tfserve.protos.survey import has_few_fields, survey

_SMALL_BODY_BYTES = 1 << 12  # up to this size no message takes more than a millisecond to parse and refuse
_FEW_FIELDS = 1000
_FEW_OUTSIDE_FIELDS = 256  # each of the inputs takes some microseconds
_MAX_INLINE_PARSE_BYTES = 4 << 20  # takes a millisecond to copy
_MAX_OUTSIDE_FIELDS = 1 << 14  # inputs, names of outputs and tasks: no model has so many, and each takes long
_FIELD_BYTES = 128  # a string, in the message, in Python, and in TensorFlow
_COPIES = 3  # of the tensors: the array, TensorFlow's own, and an answer of the same size
_MAX_TIMEOUT_SECONDS = 10_000_000  # gRPC reports hundreds of years for a call without a deadline


class Inference:
    """Makes the answers of the inference methods.

    Args:
        dispatcher: runs the requests.
        calls: count what they hold.
        max_fields: how many fields a message may have.
        max_bytes: the memory of the tensors of all requests that run at the same time; others wait.
    """

    def __init__(self, dispatcher: Dispatcher, calls: Calls, max_fields: int, max_bytes: int) -> None:
        self._dispatcher = dispatcher
        self._calls = calls
        self._max_fields = max_fields
        self._max_bytes = max_bytes
        self._room = Room(max_bytes)
        self._parsers = ThreadPoolExecutor(1, thread_name_prefix="parser")  # parsers hold the interpreter anyway

    def answer(self, kind: type[Message], make_request: Callable[[bytes, int], InferenceRequest]) -> Answer:
        """Returns how a method is answered; the deadline of the client ends the run.

        Args:
            kind: the type of its message.
            make_request: parses one, given the longest time of a run, in milliseconds.
        """

        async def answer(body: bytes, call: Call) -> bytes:
            seconds: float | None = call.context.time_remaining()
            timeout_ms = 0 if seconds is None or seconds > _MAX_TIMEOUT_SECONDS else max(1, int(seconds * 1000))
            if len(body) > _SMALL_BODY_BYTES:
                await turns.take()
            if _is_quickly_parsed(kind, body):
                request = make_request(body, timeout_ms)
            else:
                run = asyncio.get_running_loop().run_in_executor
                self._calls.hold(call, await run(self._parsers, self._memory_of, kind, body))
                request = await run(self._parsers, make_request, body, timeout_ms)
            del body  # it may be large
            if request.size <= INLINE_BYTES:
                return await self._dispatcher.answer(request)
            async with self._room.of(_COPIES * request.size):
                return await self._dispatcher.answer(request)

        return answer

    def _memory_of(self, kind: type[Message], body: bytes) -> int:
        """Returns how much memory the fields of a message will need in addition to their bytes.

        Raises:
            StatusError: RESOURCE_EXHAUSTED, there are too many.
        """
        found = survey(body, kind, self._max_fields, _MAX_OUTSIDE_FIELDS)
        if found.fields > self._max_fields:
            raise StatusError(
                Code.RESOURCE_EXHAUSTED,
                f"The message has more than {self._max_fields} fields (--grpc_max_fields) or {_MAX_OUTSIDE_FIELDS} "
                "inputs; split it, or send values as tensor_content",
            )
        memory = 2 * found.number_bytes + _FIELD_BYTES * found.fields
        if 2 * found.number_bytes > self._max_bytes:
            raise StatusError(
                Code.RESOURCE_EXHAUSTED,
                f"The numbers of the message would take {2 * found.number_bytes} bytes; the limit is {self._max_bytes} "
                "(--grpc_max_bytes_in_flight). Split it, or send them as tensor_content",
            )
        return memory


def _is_quickly_parsed(kind: type[Message], body: bytes) -> bool:
    if len(body) <= _SMALL_BODY_BYTES:
        return True
    if len(body) <= INLINE_BYTES:
        return has_few_fields(body, _FEW_OUTSIDE_FIELDS)
    if len(body) > _MAX_INLINE_PARSE_BYTES:
        return False
    found = survey(body, kind, _FEW_FIELDS, _FEW_FIELDS)
    return found.fields <= _FEW_FIELDS and found.number_bytes <= INLINE_BYTES
