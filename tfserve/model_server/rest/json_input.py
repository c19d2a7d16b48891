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


Shape = tuple[int, ...]


class Document(NamedTuple):
    """The body of a request.

    Attributes:
        root: the JSON object.
        may_have_bools: False only if the body contains neither ``true`` nor ``false``. NumPy would convert true to 1,
            so only then can it convert whole lists.
    """

    root: dict[str, Any]
    may_have_bools: bool


class RowsBefore(NamedTuple):
    """What is known of the rows of a request from those that have been converted.

    Attributes:
        number: how many there are.
        named: whether each is an object of named values.
        shapes: alias -> the shape of each; None if there are none.
    """

    number: int
    named: bool
    shapes: Mapping[str, Shape] | None


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
    return Document(check_object(parse_json(body)), may_have_bools(body))


def parse_json(body: bytes, offset: int = 0) -> Any:
    """Parses the JSON value at the start of `body`.

    Args:
        body: the text.
        offset: where it is in the body of the request, for error messages.

    Raises:
        StatusError: INVALID_ARGUMENT, it is not JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return _parse_leniently(body, offset)


def check_object(root: Any) -> dict[str, Any]:
    """Returns the root of a document; raises StatusError if it is not an object."""
    if not isinstance(root, dict):
        raise format_error(root, "Is not object")
    return root


def may_have_bools(body: bytes) -> bool:
    """Returns False only if a text contains neither ``true`` nor ``false``."""
    # Searching for one letter is ten times as fast, and most large bodies do not contain it.
    return (b"r" in body and b"true" in body) or (b"f" in body and b"false" in body)


def signature_of(document: Document) -> str:
    """Returns the name of the signature that a request names; empty for the default one.

    Raises:
        StatusError: INVALID_ARGUMENT, it is not a string.
    """
    signature = document.root.get("signature_name", "")
    if not isinstance(signature, str):
        raise format_error(document.root, "not formatted correctly. 'signature_name' key must be a string value.")
    return signature


def input_dtypes(signature: str, inputs_of: Callable[[str], Mapping[str, int]]) -> Mapping[str, int]:
    """Returns the inputs of a signature; raises StatusError if it has none, or any error of `inputs_of`."""
    dtypes = inputs_of(signature)
    if not dtypes:
        raise invalid_argument(f"Failed to get input map for signature: {signature or 'DEFAULT'}")
    return dtypes


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
    dtypes = input_dtypes(signature, inputs_of)
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
        return PredictInput(signature, rows(instances, dtypes, may_have_bools), row_format=True)
    if "inputs" in root:
        return PredictInput(signature, columns(root["inputs"], dtypes, may_have_bools), row_format=False)
    raise invalid_argument("Missing 'inputs' or 'instances' key")


def _parse_leniently(body: bytes, offset: int) -> Any:
    """Parses JSON with NaN, Infinity and -Infinity; like the official server, ignores text after the value."""
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        text = body.decode()
        start = _WHITESPACE.match(text)
        return _DECODER.raw_decode(text, start.end() if start else 0)[0]
    except UnicodeDecodeError as failure:
        place = offset + failure.start
        raise invalid_argument(f"JSON Parse error: Invalid encoding in string. at offset: {place}") from None
    except json.JSONDecodeError as failure:
        place = offset + len(failure.doc[: failure.pos].encode(errors="replace"))
        raise invalid_argument(f"JSON Parse error: {failure.msg}. at offset: {place}") from None
    except RecursionError:
        raise invalid_argument("JSON Parse error: Nested too deeply. at offset: 0") from None


def rows(
    instances: list[Any],
    dtypes: Mapping[str, int],
    may_have_bools: bool,
    before: RowsBefore | None = None,
) -> dict[str, Array]:
    """Converts the value of ``instances``: one value, or one object of named values, for each row.

    Args:
        instances: at least one row.
        dtypes: the inputs, alias -> ``DataType`` number.
        may_have_bools: as in `Document`.
        before: the rows of the request before these, which must be like them.

    Raises:
        StatusError: as `parse_predict`.
    """
    first, named, shapes = before or RowsBefore(0, is_named(instances[0]), None)
    if len(dtypes) > 1 and not named:
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    if named:
        _check_keys(instances, dtypes, first)
    arrays = {}
    for alias, dtype in dtypes.items():
        values = [row[alias] for row in instances] if named else instances
        shape = shapes[alias] if shapes else None
        array = None if may_have_bools else convert_fast(values, dtype)
        if array is None or (shape is not None and array.shape[1:] != shape):
            array = _stack(values, alias, dtype, first, shape, named)
        arrays[alias] = array
    return arrays


def _check_keys(instances: list[Any], dtypes: Mapping[str, int], first: int) -> None:
    """Raises StatusError unless each row is an object whose names are exactly those of the inputs."""
    for index, row in enumerate(instances, first):
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


def _stack(values: list[Any], alias: str, dtype: int, first: int, shape: Shape | None, named: bool) -> Array:
    """Converts the values of all rows, which have the same shape, by the strict rules."""
    where = f" key: {alias}" if named else ""
    flat: list[Any] = []
    for index, value in enumerate(values, first):
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


def _different_shape(expected: Shape, got: Shape) -> StatusError:
    expected_size, size = math.prod(expected), math.prod(got)
    if size != expected_size:
        return invalid_argument(f"Expecting tensor size: {expected_size} but got: {size}")
    return invalid_argument(f"Expecting shape {_shape_text(expected)} but got: {_shape_text(got)}")


def _shape_text(shape: Shape) -> str:
    return f"[{','.join(map(str, shape))}]"


def columns(value: Any, dtypes: Mapping[str, int], may_have_bools: bool) -> dict[str, Array]:
    """Converts the value of ``inputs``: one tensor, or an object of named tensors."""
    named = named_columns(value, dtypes)
    return {alias: column(named[alias], dtype, may_have_bools) for alias, dtype in dtypes.items()}


def named_columns(value: Any, dtypes: Mapping[str, int]) -> dict[str, Any]:
    """Returns the tensor for each input, and possibly for others; raises StatusError if one is missing."""
    if not is_named(value):
        if len(dtypes) > 1:
            raise invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        return {next(iter(dtypes)): value}
    for alias in dtypes:
        if alias not in value:
            raise invalid_argument(f"Missing named input: {alias} in 'inputs' object.")
    return dict(value)


def column(value: Any, dtype: int, may_have_bools: bool, row_shape: Shape | None = None) -> Array:
    """Converts one tensor, or a group of its rows, which then must have the shape `row_shape`."""
    array = None if may_have_bools else convert_fast(value, dtype)
    if array is not None and row_shape in (None, array.shape[1:]):
        return array
    shape = shape_of(value) if row_shape is None else (len(value), *row_shape)
    flat: list[Any] = []
    flatten(value, 0, shape, dtype, flat)
    return to_array(flat, shape, dtype)


def format_error(document: Any, problem: str) -> StatusError:
    """Returns the error for a document with the wrong structure."""
    return invalid_argument(f"JSON Value: {shorten(document)} {problem}")
