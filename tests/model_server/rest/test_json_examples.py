from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfserve.model_server.rest.json_examples import ExamplesInput, parse_examples
from tfserve.model_server.status import Code, StatusError
from tfserve.protos.apis_pb2 import Example


def parse(body: Any) -> ExamplesInput:
    return parse_examples(body if isinstance(body, bytes) else json.dumps(body).encode())


def features(values: Any) -> dict[str, tuple[str | None, list[Any]]]:
    """Returns the features of one example in JSON: name -> kind and values."""
    body = values if isinstance(values, bytes) else json.dumps(values).encode()
    (serialized,) = parse(b'{"examples": [' + body + b"]}").examples
    found = {}
    for name, feature in Example.FromString(serialized).features.feature.items():
        kind = feature.WhichOneof("kind")
        found[name] = (kind, list(getattr(feature, kind).value) if kind else [])
    return found


@pytest.mark.parametrize(
    ("value", "kind", "values"),
    [
        (b"1", "int64_list", [1]),
        (b"1.0", "float_list", [1.0]),
        (b"[1, -2, 3]", "int64_list", [1, -2, 3]),
        (b"[0.5, 1e2]", "float_list", [0.5, 100.0]),
        (b"[true, false, 7]", "int64_list", [1, 0, 7]),
        (b"[9223372036854775807, -9223372036854775808]", "int64_list", [2**63 - 1, -(2**63)]),
        (b"18446744073709551616", "float_list", [2.0**64]),
        (b"-9223372036854775809", "float_list", [-(2.0**63)]),
        (b"[Infinity, -Infinity, 1e300]", "float_list", [math.inf, -math.inf, math.inf]),
        (b'["a", "\xc3\xa9\\u0000", {"b64": "/w=="}]', "bytes_list", [b"a", "é\0".encode(), b"\xff"]),
        (b"[]", None, []),
    ],
)
def test_a_feature_has_the_kind_of_its_values(value: bytes, kind: str | None, values: list[Any]) -> None:
    assert features(b'{"f": ' + value + b"}") == {"f": (kind, values)}


def test_nan_and_infinity() -> None:
    ((kind, values),) = features(b'{"f": [NaN]}').values()
    assert kind == "float_list"
    assert math.isnan(values[0])


def test_the_context_is_in_every_example() -> None:
    read = parse({"context": {"c": "all", "f": 1}, "examples": [{"f": 2}, {}], "signature_name": "s"})
    assert read.signature == "s"
    first, second = [Example.FromString(example).features.feature for example in read.examples]
    assert first["c"].bytes_list.value == second["c"].bytes_list.value == [b"all"]
    assert first["f"].int64_list.value == [2]
    assert second["f"].int64_list.value == [1]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b"[]", "JSON Value: [] Is not object"),
        ({"signature_name": 1, "examples": [{}]}, "'signature_name' key must be a string value."),
        ({"instances": 1}, "When method is classify, key 'examples' is expected and was not found"),
        ({"examples": {}}, "Expecting 'examples' value to be an list/array"),
        ({"examples": []}, "'examples' value is an empty array"),
        ({"examples": [[]]}, "Example must be JSON object but got JSON Array"),
        ({"examples": [True]}, "Example must be JSON object but got JSON True"),
        ({"examples": [{}], "context": 1}, "Example must be JSON object but got JSON Number"),
        ({"examples": [{"f": None}]}, "Feature: f has element with unexpected JSON type: Null"),
        ({"examples": [{"f": [[1]]}]}, "Feature: f has element with unexpected JSON type: Array"),
        ({"examples": [{"f": {"b": 1}}]}, "Feature: f has element with unexpected JSON type: Object"),
        ({"examples": [{"f": {"b64": "*"}}]}, "Unable to base64 decode"),
        ({"examples": [{"f": [1, 2.5]}]}, "Unexpected element type in feature: f expecting type: int64"),
        ({"examples": [{"f": [2.5, 1]}]}, "Unexpected element type in feature: f expecting type: float"),
        ({"examples": [{"f": ["a", True]}]}, "Unexpected element type in feature: f expecting type: bytes"),
        ({"examples": [{"f": ["a", 2**63]}]}, "Unexpected element type in feature: f expecting type: bytes"),
        ({"examples": [{"f": [1, {"b64": "*"}]}]}, "Unexpected element type in feature: f expecting type: int64"),
        ({"examples": [{"f": 2**63}]}, "Feature: f has uint64_t element. Only int64_t is supported."),
        (b'{"examples": [{"f": "\\ud800"}]}', "The surrogate pair in string is invalid."),
        (b'{"examples": [{"\\ud800": 1}]}', "The surrogate pair in string is invalid."),
    ],
)
def test_invalid_bodies(body: Any, message: str) -> None:
    with pytest.raises(StatusError) as caught:
        parse(body)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert message in caught.value.message


@given(st.lists(st.floats(), min_size=1))
def test_floats_are_converted_as_in_c(values: list[float]) -> None:
    ((_, read),) = features({"f": values}).values()
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(np.array(read, np.float32), np.array(values, np.float64).astype(np.float32))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3) | st.just("b64"), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["examples", "context"]), st.lists(VALUES) | VALUES))
def test_any_json_is_read_or_refused(body: dict[str, Any]) -> None:
    try:
        read = parse(body)
    except StatusError as failure:
        assert failure.code is Code.INVALID_ARGUMENT
    else:
        assert len(read.examples) == len(body["examples"])


def test_a_context_is_not_repeated_without_limit() -> None:
    """A body of 63 KB would become 320 MB of examples."""
    body = {"context": {"a": "a" * 30_000}, "examples": [{}] * 10_000}
    with pytest.raises(StatusError, match=r"'context' has 300.. bytes, and is part of each of 10000 examples"):
        parse(body)
    assert len(parse(body | {"examples": [{}] * 100}).examples) == 100
