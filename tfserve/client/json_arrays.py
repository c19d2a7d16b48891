"""Converts arrays to the JSON of predict requests and responses, and back.

Source of the two formats: ``tensorflow_serving/g3doc/api_rest.md``.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfserve.client.arrays import bytes_array, dtype_of, input_arrays
from tfserve.client.failures import malformed
from tfserve.client.row_column import DEFAULT_SIGNATURE, REQUEST_HINT, Format
from tfserve.client.values import Value, encode_bytes, is_encoded_bytes, is_sendable
from tfserve.errors import Attribute, RequestError, UsageError, Wording
from tfserve.models.saved_model import Signature
from tfserve.protos.dtypes import MAX_RANK, Array, data_type
from tfserve.protos.saved_model_pb2 import DataType

__all__ = ["StaleSignatureError", "decode", "encode_arrays", "encode_outputs", "read_inputs", "read_outputs"]

_AT_ONCE = 2**20  # numbers that are converted in a fraction of a second
_VALUES_BETWEEN_CHECKS = 2**16
_JSON_TYPES: dict[str, type | tuple[type, ...]] = {"f": float, "i": int, "u": int, "b": bool, "O": (str, dict)}


class StaleSignatureError(RequestError):
    """The response has other types or outputs than the signature that was read before the request.

    Args:
        what: the difference.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            f"The response has {what} than the signature.", hint="The model was replaced: send the request again."
        )


def encode_arrays(arrays: Mapping[str, Array], signature_name: str) -> bytes:
    """Returns the body of a predict request with inputs by name.

    Raises:
        UsageError: an input has a type that REST does not carry.
    """
    document: dict[str, Any] = {} if signature_name == DEFAULT_SIGNATURE else {"signature_name": signature_name}
    document["inputs"] = {name: _encode(array, encode_bytes) for name, array in arrays.items()}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def read_outputs(
    url: str, document: Mapping[str, Any], signature: Signature, check: Callable[[], None] = lambda: None
) -> dict[str, Array]:
    """Returns the outputs in the response to a predict request in column format.

    Args:
        url: the address of the server, for errors.
        document: the response, parsed.
        signature: the signature of the request.
        check: is called now and then; what it raises ends the conversion.

    Raises:
        StaleSignatureError: the model has another signature by now.
        RequestError: `document` is not such a response.
    """
    outputs = document.get("outputs")
    known = signature.outputs
    if outputs is None:
        raise malformed(url, "the response has no outputs")
    if len(known) == 1 and not (isinstance(outputs, dict) and outputs.keys() == known.keys()):
        outputs = {next(iter(known)): outputs}
    if not isinstance(outputs, dict) or outputs.keys() != known.keys():
        raise StaleSignatureError("other outputs")
    try:
        return {name: _read(name, outputs[name], known[name].dtype, check) for name in known}
    except (UsageError, ValueError, TypeError, OverflowError, RecursionError):
        raise malformed(url, "the outputs are not tensors of the types in the signature") from None


def read_inputs(document: Mapping[str, Any], signature: Signature) -> tuple[dict[str, Array], Format]:
    """Returns the inputs of a predict request in JSON, and its format.

    Raises:
        UsageError: the request has no inputs, or they do not match `signature`.
    """
    if ("instances" in document) == ("inputs" in document):
        raise UsageError('The request requires either "instances" for rows or "inputs" for columns.', hint=REQUEST_HINT)
    if "inputs" in document:
        given, format_ = document["inputs"], "column"
    else:
        given, format_ = _columns(document["instances"]), "row"
    named = isinstance(given, dict) and not is_encoded_bytes(given)
    tensors = {name: decode(value) for name, value in given.items()} if named else decode(given)
    return input_arrays(tensors, signature), "row" if format_ == "row" else "column"


def encode_outputs(arrays: Mapping[str, Array], format_: Format) -> dict[str, Any]:
    """Returns outputs by name in the form of the REST API.

    Raises:
        RequestError: the format is row, and the outputs have different numbers of instances.
    """
    encoded = {name: _encode(_widen(array), _encode_text) for name, array in arrays.items()}
    only = next(iter(encoded.values())) if len(encoded) == 1 else None
    if format_ == "column":
        return {"outputs": encoded if only is None else only}
    if len({array.shape[:1] for array in arrays.values()}) != 1 or () in (array.shape for array in arrays.values()):
        raise RequestError(
            "The outputs have different numbers of instances, so they cannot be shown as rows.",
            hint=Wording("Use {format}.", format=Attribute("format", "column")),
        )
    if only is not None:
        return {"predictions": only}
    return {"predictions": [dict(zip(encoded, items, strict=True)) for items in zip(*encoded.values(), strict=True)]}


def _encode(array: Array, encode_text: Callable[[bytes], Value]) -> Value:
    """Returns the values of `array` as nested lists, with bytes encoded by `encode_text`."""
    if array.dtype.kind != "O":
        if not is_sendable(DataType.Name(data_type(array.dtype))):
            raise UsageError(
                f"TensorFlow Serving does not accept arrays of {array.dtype} over REST.",
                hint=Wording("Use gRPC: {api}", api=Attribute("api", "grpc")),
            )
        return array.tolist()
    flat = np.empty(array.size, np.object_)
    for position, item in enumerate(array.ravel().tolist()):
        flat[position] = encode_text(item)
    return flat.reshape(array.shape).tolist()


def _widen(array: Array) -> Array:
    """Converts an array of half precision, which REST does not carry, to float32."""
    return array.astype(np.float32) if array.dtype.name in ("float16", "bfloat16") else array


def _encode_text(content: bytes) -> Value:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return encode_bytes(content)


def _read(name: str, value: Value, dtype_name: str, check: Callable[[], None]) -> Array:
    dtype = dtype_of(dtype_name)
    first = value
    while isinstance(first, list) and first:
        first = first[0]
    if not isinstance(first, list) and not _is_of_kind(first, dtype.kind):
        raise StaleSignatureError("another type")
    if dtype.kind == "O":
        return bytes_array(decode(value, check), name, check)
    return _numbers(value, dtype, check)


def _numbers(value: Value, dtype: np.dtype[Any], check: Callable[[], None]) -> Array:
    """Returns nested lists of numbers as an array. Large ones are converted in parts."""
    shape = _shape(value)
    check()
    if math.prod(shape) <= _AT_ONCE or len(shape) > MAX_RANK:
        return np.array(value, dtype)
    array: Array = np.empty(shape, dtype)
    step = max(_AT_ONCE // math.prod(shape[1:]), 1)
    for start in range(0, len(value), step):
        rows = value[start : start + step]
        part = _numbers(rows[0], dtype, check)[np.newaxis] if step == 1 else np.array(rows, dtype)
        if part.shape != array[start : start + step].shape:
            raise ValueError("the rows do not have the same shape")
        array[start : start + step] = part
        check()
    return array


def _shape(value: Value) -> tuple[int, ...]:
    """Returns the shape of nested lists according to the first value of each."""
    shape: list[int] = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return tuple(shape)


def _is_of_kind(value: Value, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "b"
    return isinstance(value, _JSON_TYPES.get(kind, object))


def decode(value: Value, check: Callable[[], None] = lambda: None) -> Value:
    """Returns nested lists with the bytes that are encoded in base64; `check` is called for parts of long lists."""
    if isinstance(value, list):
        if len(value) <= _VALUES_BETWEEN_CHECKS:
            return [decode(item, check) for item in value]
        decoded: list[Value] = []
        for start in range(0, len(value), _VALUES_BETWEEN_CHECKS):
            check()
            decoded += [decode(item, check) for item in value[start : start + _VALUES_BETWEEN_CHECKS]]
        return decoded
    if not is_encoded_bytes(value):
        return value
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise UsageError('The value of "b64" is not valid base64.', hint='Encode the bytes: {"b64": "AAEC"}') from None


def _columns(instances: Any) -> Any:
    """Returns the rows of a request as columns."""
    if not isinstance(instances, list) or not instances:
        raise UsageError('"instances" is not a list, or is empty.', hint=REQUEST_HINT)
    if not isinstance(instances[0], dict) or is_encoded_bytes(instances[0]):
        return instances
    names = instances[0].keys()
    if any(not isinstance(instance, dict) or instance.keys() != names for instance in instances):
        raise UsageError("The instances do not all have the same inputs.", hint="Give all instances the same names.")
    return {name: [instance[name] for instance in instances] for name in names}
