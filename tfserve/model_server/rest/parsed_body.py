"""What a parser process makes of the body of a request, and the form in which it passes that to the server.

The form is a file in memory: the values of all arrays, then a header in JSON that describes them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import orjson

from tfserve.model_server import log
from tfserve.model_server.rest.gunzip import TooLargeError
from tfserve.model_server.rest.json_examples import ExamplesInput
from tfserve.model_server.rest.json_input import PredictInput
from tfserve.model_server.rest.limits import Limits
from tfserve.model_server.rest.memory_file import MemoryFile
from tfserve.model_server.runtime.tensors import numpy_dtype
from tfserve.model_server.status import Code, StatusError, shortened
from tfserve.protos.dtypes import DT_STRING, Array

_ALIGNMENT = 64  # of the start of each array

Inputs = Mapping[str, Mapping[str, int]]
"""The inputs of each signature: name -> alias -> ``DataType`` number."""


class ParsedPredict(NamedTuple):
    """A parsed predict request.

    Attributes:
        request: its values.
        dtypes: the inputs of its signature that it was parsed for, alias -> ``DataType`` number.
    """

    request: PredictInput
    dtypes: Mapping[str, int]


class TooHeavyError(Exception):
    """The uncompressed body is too large to be parsed beside others."""


class _Values:
    """Writes arrays one after the other."""

    def __init__(self, file: MemoryFile) -> None:
        self._file = file

    def add(self, array: Array, dtype: int) -> dict[str, Any]:
        """Writes an array; returns what `_read` needs to find it."""
        described: dict[str, Any] = {"dtype": dtype, "shape": array.shape, "offset": self._align()}
        if dtype == DT_STRING:
            texts = array.ravel().tolist()
            self._file.write(np.fromiter(map(len, texts), np.int64, len(texts)).tobytes())
            described["texts"] = self._file.size
            self._file.write(b"".join(texts))
        elif array.size:
            self._file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        return described

    def _align(self) -> int:
        self._file.write(b"\0" * (-self._file.size % _ALIGNMENT))
        return self._file.size


def write_predict(request: PredictInput, dtypes: Mapping[str, int], file: MemoryFile) -> bytes:
    """Writes the arrays of a request to `file`; returns the header."""
    values = _Values(file)
    arrays = {alias: values.add(request.arrays[alias], dtype) for alias, dtype in dtypes.items()}
    return orjson.dumps({"signature": request.signature, "row_format": request.row_format, "arrays": arrays})


def write_examples(request: ExamplesInput, file: MemoryFile) -> bytes:
    """Writes the examples of a request to `file`; returns the header."""
    array = np.empty(len(request.examples), np.object_)
    array[:] = request.examples
    return orjson.dumps({"signature": request.signature, "examples": _Values(file).add(array, DT_STRING)})


def exhausted(limits: Limits, ended: bool = False) -> StatusError:
    """Returns the error for a body that takes too much to parse.

    Args:
        limits: of memory and time.
        ended: whether its parser was ended, which either limit does; otherwise it got no more memory.
    """
    memory, flag = f"more than {limits.parse_bytes} bytes of memory", "--rest_api_max_parse_memory_bytes"
    if ended:
        return StatusError(
            Code.RESOURCE_EXHAUSTED,
            f"The body takes {memory} or {limits.parse_seconds} seconds to parse, the limits of this server "
            f"({flag}, --rest_api_max_parse_seconds)",
        )
    return StatusError(Code.RESOURCE_EXHAUSTED, f"The body takes {memory} to parse, the limit of this server ({flag})")


def write_error(failure: Exception) -> bytes:
    """Returns the header for a request that was refused."""
    if isinstance(failure, (TooLargeError, TooHeavyError)):
        return orjson.dumps({"refused": type(failure).__name__})
    if not isinstance(failure, StatusError):
        log.error(f"{type(failure).__name__} while a request was parsed: {failure}")
        failure = StatusError(Code.INTERNAL, f"{type(failure).__name__} in the server")
    message = shortened(failure.message).encode(errors="replace").decode()
    return orjson.dumps({"code": failure.code, "message": message})


def read(file: MemoryFile, size: int, header: bytes) -> ParsedPredict | ExamplesInput:
    """Returns a request from what has been written: arrays share the memory of the file, strings are copied.

    Args:
        file: the arrays.
        size: how many bytes they have.
        header: describes them.

    Raises:
        StatusError: the request was refused with this error.
        TooLargeError: the uncompressed body is larger than allowed.
        TooHeavyError: it is to be parsed by a process that parses large ones.
    """
    described = orjson.loads(header)
    if "code" in described:
        raise StatusError(described["code"], described["message"])
    if refused := described.get("refused"):
        raise {error.__name__: error for error in (TooLargeError, TooHeavyError)}[refused]
    memory = memoryview(file.map(size)) if size else memoryview(b"")
    if "examples" in described:
        return ExamplesInput(described["signature"], _read(memory, described["examples"]).tolist())
    arrays = {alias: _read(memory, place) for alias, place in described["arrays"].items()}
    dtypes = {alias: place["dtype"] for alias, place in described["arrays"].items()}
    return ParsedPredict(PredictInput(described["signature"], arrays, described["row_format"]), dtypes)


def _read(memory: memoryview, place: Mapping[str, Any]) -> Array:
    shape, offset = tuple(place["shape"]), place["offset"]
    count = math.prod(shape)
    if place["dtype"] != DT_STRING:
        dtype = numpy_dtype(place["dtype"])
        return np.frombuffer(memory, dtype, count, offset).reshape(shape) if count else np.empty(shape, dtype)
    array = np.empty(count, np.object_)
    start = place["texts"]
    lengths = np.frombuffer(memory, np.int64, count, offset).tolist() if count else []
    for index, length in enumerate(lengths):
        array[index] = bytes(memory[start : start + length])
        start += length
    return array.reshape(shape)
