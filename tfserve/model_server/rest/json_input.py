"""Converts the body of a REST predict request, in TensorFlow Serving's row or column format, to NumPy arrays.

Sources: ``json_tensor.cc`` and ``api_rest.md`` of TensorFlow Serving.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from tfserve.model_server.rest.json_values import convert_fast, flatten, is_named, shape_of, shorten, to_array
from tfserve.model_server.status import StatusError, invalid_argument
from tfserve.protos.dtypes import Array

_WHITESPACE = re.compile(r"[ \t\n\r]*")
_MANY_DIGITS = 400  # more than any dtype can hold, and fewer than Python refuses to parse


def _integer(text: str) -> int | float:
    return int(text) if len(text) < _MANY_DIGITS else float(text)


_DECODER = json.JSONDecoder(parse_int=_integer)


class Document(NamedTuple):
    """The body of a request.

    Attributes:
        root: the JSON object.
        may_have_bools: False only if the body contains neither ``true`` nor ``false``. NumPy would convert true to 1,
            so only then can it convert whole lists.
    """

    root: dict[str, Any]
    may_have_bools: bool


class PredictInput(NamedTuple):
    """A predict request.

    Attributes:
        signature: the name of the requested signature; empty for the default one.
        arrays: input alias -> values.
        row_format: True for ``instances``, False for ``inputs``; the response has the same format.
    """

    signature: str
    arrays: dict[str, Array]
    row_format: bool


def parse_document(body: bytes) -> Document:
    """Parses the JSON object at the start of `body`, which may contain the numbers NaN, Infinity and -Infinity.

    Raises:
        StatusError: INVALID_ARGUMENT, it is not JSON or not an object.
    """
    try:
        root = orjson.loads(body)
    except orjson.JSONDecodeError:
        root = _parse_leniently(body)
    if not isinstance(root, dict):
        raise format_error(root, "Is not object")
    # Searching for one letter is ten times as fast, and most large bodies do not contain it.
    may_have_bools = (b"r" in body and b"true" in body) or (b"f" in body and b"false" in body)
    return Document(root, may_have_bools)


def signature_of(document: Document) -> str:
    """Returns the name of the signature that a request names; empty for the default one.

    Raises:
        StatusError: INVALID_ARGUMENT, it is not a string.
    """
    signature = document.root.get("signature_name", "")
    if not isinstance(signature, str):
        raise format_error(document.root, "not formatted correctly. 'signature_name' key must be a string value.")
    return signature


def parse_predict(document: Document, inputs_of: Callable[[str], Mapping[str, int]]) -> PredictInput:
    """Converts a predict request.

    Args:
        document: the body.
        inputs_of: returns the inputs of a signature, alias -> ``DataType`` number; may raise StatusError.

    Raises:
        StatusError: INVALID_ARGUMENT, the values do not match the signature; UNIMPLEMENTED, a dtype has no JSON form;
            or any error of `inputs_of`.
    """
    root, may_have_bools = document.root, document.may_have_bools
    signature = signature_of(document)
    dtypes = inputs_of(signature)
    if not dtypes:
        raise invalid_argument(f"Failed to get input map for signature: {signature or 'DEFAULT'}")
    if "instances" in root:
        if "inputs" in root:
            raise format_error(
                root, "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
            )
        instances = root["instances"]
        if not isinstance(instances, list):
            raise format_error(root, "Expecting 'instances' to be an list/array")
        if not instances:
            raise format_error(root, "No values in 'instances' array")
        return PredictInput(signature, _rows(instances, dtypes, may_have_bools), row_format=True)
    if "inputs" in root:
        return PredictInput(signature, _columns(root["inputs"], dtypes, may_have_bools), row_format=False)
    raise invalid_argument("Missing 'inputs' or 'instances' key")


def _parse_leniently(body: bytes) -> Any:
    """Parses JSON with NaN, Infinity and -Infinity; like the official server, ignores text after the value."""
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        text = body.decode()
        start = _WHITESPACE.match(text)
        return _DECODER.raw_decode(text, start.end() if start else 0)[0]
    except UnicodeDecodeError as failure:
        raise invalid_argument(f"JSON Parse error: Invalid encoding in string. at offset: {failure.start}") from None
    except json.JSONDecodeError as failure:
        offset = len(failure.doc[: failure.pos].encode(errors="replace"))
        raise invalid_argument(f"JSON Parse error: {failure.msg}. at offset: {offset}") from None
    except RecursionError:
        raise invalid_argument("JSON Parse error: Nested too deeply. at offset: 0") from None


def _rows(instances: list[Any], dtypes: Mapping[str, int], may_have_bools: bool) -> dict[str, Array]:
    """Converts the value of ``instances``: one value, or one object of named values, for each row."""
    if len(dtypes) > 1 and not is_named(instances[0]):
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    if not is_named(instances[0]):
        alias, dtype = next(iter(dtypes.items()))
        array = None if may_have_bools else convert_fast(instances, dtype)
        return {alias: _stack(instances, alias, dtype) if array is None else array}
    _check_keys(instances, dtypes)
    arrays = {}
    for alias, dtype in dtypes.items():
        column = [row[alias] for row in instances]
        array = None if may_have_bools else convert_fast(column, dtype)
        arrays[alias] = _stack(column, alias, dtype, named=True) if array is None else array
    return arrays


def _check_keys(instances: list[Any], dtypes: Mapping[str, int]) -> None:
    """Raises StatusError unless each row is an object whose names are exactly those of the inputs."""
    for index, row in enumerate(instances):
        if not is_named(row):
            raise invalid_argument(f"Expecting object but got list at item {index} of input list")
        if row.keys() == dtypes.keys():
            continue
        for name in row:
            if name not in dtypes:
                raise invalid_argument(
                    f"Failed to process element: {index} key: {name} of 'instances' list. Error: "
                    f"INVALID_ARGUMENT: JSON object: does not have named input: {name}"
                )
        raise invalid_argument(
            f"Failed to process element: {index} of 'instances' list. JSON object: {shorten(row)} keys must be equal "
            f"to: {','.join(sorted(dtypes))}"
        )


def _stack(values: list[Any], alias: str, dtype: int, named: bool = False) -> Array:
    """Converts the values of all rows, which have the same shape, by the strict rules."""
    where = f" key: {alias}" if named else ""
    shape: tuple[int, ...] | None = None
    flat: list[Any] = []
    for index, value in enumerate(values):
        if not named and is_named(value):
            raise invalid_argument(f"Expecting value/list but got object at item {index} of input list")
        try:
            row_shape = shape_of(value)
            flatten(value, 0, row_shape, dtype, flat)
            if shape is None:
                shape = row_shape
            elif row_shape != shape:
                raise _different_shape(shape, row_shape)
        except StatusError as failure:
            raise invalid_argument(
                f"Failed to process element: {index}{where} of 'instances' list. Error: {failure}"
            ) from None
    return to_array(flat, (len(values), *(shape or ())), dtype)


def _different_shape(expected: tuple[int, ...], got: tuple[int, ...]) -> StatusError:
    expected_size, size = math.prod(expected), math.prod(got)
    if size != expected_size:
        return invalid_argument(f"Expecting tensor size: {expected_size} but got: {size}")
    return invalid_argument(f"Expecting shape {_shape_text(expected)} but got: {_shape_text(got)}")


def _shape_text(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _columns(value: Any, dtypes: Mapping[str, int], may_have_bools: bool) -> dict[str, Array]:
    """Converts the value of ``inputs``: one tensor, or an object of named tensors."""
    if not is_named(value):
        if len(dtypes) > 1:
            raise invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        value = {next(iter(dtypes)): value}
    arrays = {}
    for alias, dtype in dtypes.items():
        if alias not in value:
            raise invalid_argument(f"Missing named input: {alias} in 'inputs' object.")
        array = None if may_have_bools else convert_fast(value[alias], dtype)
        if array is None:
            shape = shape_of(value[alias])
            flat: list[Any] = []
            flatten(value[alias], 0, shape, dtype, flat)
            array = to_array(flat, shape, dtype)
        arrays[alias] = array
    return arrays


def format_error(document: Any, problem: str) -> StatusError:
    """Returns the error for a document with the wrong structure."""
    return invalid_argument(f"JSON Value: {shorten(document)} {problem}")
