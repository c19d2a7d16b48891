from __future__ import annotations

import io
import json
import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfserve.client.examples import example_arguments
from tfserve.client.model_ref import ModelRef
from tfserve.client.predict_request import build_request, read_request
from tfserve.client.rest import RestClient
from tfserve.client.signature_choice import choose_signature
from tfserve.client.values import INTEGER_RANGES
from tfserve.errors import UsageError
from tfserve.models.saved_model import Signature, TensorSpec

PREDICT = "tensorflow/serving/predict"
BATCH = (-1,)


def signature(method: str = PREDICT, *, outputs: Mapping[str, TensorSpec] | None = None, **inputs: Any) -> Signature:
    """Returns a signature with inputs given as the shape of a float tensor, or as (dtype, shape)."""
    specs = {
        key: TensorSpec(*given) if given and isinstance(given[0], str) else TensorSpec("DT_FLOAT", given)
        for key, given in inputs.items()
    }
    return Signature(method, specs, {"y": TensorSpec("DT_FLOAT", BATCH)} if outputs is None else outputs)


def default(**inputs: Any) -> dict[str, Signature]:
    return {"serving_default": signature(**inputs)}


def test_one_input_in_rows() -> None:
    request = build_request(default(x=BATCH), values=["1", "2", "5"])
    assert request.body == b'{"instances":[1,2,5]}'
    assert (request.method, request.signature_name) == ("predict", "serving_default")


def test_one_input_by_name() -> None:
    assert build_request(default(x=BATCH), inputs=["x=1", "x=2"]).body == b'{"instances":[1,2]}'


def test_one_input_in_columns() -> None:
    request = build_request(default(x=BATCH), values=["1", "2"], format="column")
    assert request.body == b'{"inputs":[1,2]}'


def test_several_inputs_in_rows() -> None:
    request = build_request(default(a=BATCH, b=(-1, 2)), inputs=["b=[[1, 2], [3, 4]]", "a=[5, 6]"])
    assert request.body == b'{"instances":[{"a":5,"b":[1,2]},{"a":6,"b":[3,4]}]}'


def test_several_inputs_in_columns() -> None:
    request = build_request(default(a=BATCH, b=BATCH), inputs=["a=1", "b=[1,2]"])
    assert request.body == b'{"inputs":{"a":[1],"b":[1,2]}}'


@pytest.mark.parametrize(
    ("signatures", "values", "body"),
    [
        (default(x=()), ["5"], {"inputs": 5}),
        (default(x=(2, 2)), ["1", "2", "3", "4"], {"inputs": [[1, 2], [3, 4]]}),
        (default(x=BATCH), ["[]"], {"inputs": []}),
        (default(x=BATCH, outputs={"y": TensorSpec("DT_FLOAT", ())}), ["1"], {"inputs": [1]}),
        (default(x=BATCH, outputs={"y": TensorSpec("DT_FLOAT", None)}), ["1"], {"instances": [1]}),
        (default(x=None), ["1"], {"instances": [1]}),
        (default(x=("DT_STRING", ())), ["a"], {"inputs": "a"}),
    ],
)
def test_natural_format(signatures: dict[str, Signature], values: list[str], body: object) -> None:
    assert json.loads(build_request(signatures, values=values).body) == body


def test_other_signature_is_named() -> None:
    signatures = default(x=BATCH) | {'a"b': signature(z=BATCH)}
    request = build_request(signatures, values=["1"], signature_name='a"b')
    assert json.loads(request.body) == {"signature_name": 'a"b', "instances": [1]}
    assert request.signature_name == 'a"b'


def test_fixed_first_dimension_can_be_rows() -> None:
    request = build_request(default(x=(2,)), values=["1", "2"], format="row")
    assert request.body == b'{"instances":[1,2]}'


def test_key_with_equals_sign() -> None:
    signatures = default(**{"a": BATCH, "a=b": BATCH})
    assert json.loads(build_request(signatures, inputs=["a=b=1", "a=2"]).body) == {"instances": [{"a": 2, "a=b": 1}]}


@pytest.mark.parametrize(
    ("arguments", "words", "hint"),
    [
        ({}, "No values were given", "tfserve predict NAME --input"),
        ({"values": ["1"]}, "has 2 inputs", "--input"),
        ({"values": ["1"], "inputs": ["a=1"]}, "cannot be combined", "inputs="),
        ({"inputs": ["a=1"]}, "No values were given for bias", "--input"),
        ({"inputs": ["a=1", "Biass=2"]}, "no input 'Biass'", "Did you mean bias?"),
        ({"inputs": ["a"]}, "'a' is not KEY=VALUE", "--input"),
        ({"inputs": ["a=1", "bias=x"]}, "bias: 'x' is not a number", "--input"),
        ({"inputs": ["a=1", "bias=1"], "format": "row"}, "bias has no instances", "format='column'"),
    ],
)
def test_mistakes_with_several_inputs(arguments: dict[str, Any], words: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        build_request(default(a=(-1, 2) if "values" in arguments else None, bias=()), **arguments)
    assert words in caught.value.message
    assert hint in (caught.value.hint or "")
    assert "bias  DT_FLOAT  ()" in (caught.value.details or "")


def test_rows_require_equal_numbers_of_instances() -> None:
    with pytest.raises(UsageError, match="a has 1, b has 2"):
        build_request(default(a=BATCH, b=BATCH), inputs=["a=1", "b=[1,2]"], format="row")
    with pytest.raises(UsageError, match="at least one instance"):
        build_request(default(a=BATCH), values=["[]"], format="row")


def test_error_is_shown_with_the_signature() -> None:
    with pytest.raises(UsageError) as caught:
        build_request(default(x=(-1, 3)), values=["1", "2"])
    assert caught.value.message == "2 single values do not fill (-1, 3)."
    assert caught.value.details == "x  DT_FLOAT  (-1, 3)"
    assert caught.value.hint == "For example: tfserve predict NAME '[1.0, 2.0, 3.0]'"
    assert caught.value.exit_code == 2


SHAPES = [None, (), (-1,), (-1, 3), (-1, 1), (-1, -1), (2, 3), (-1, 2, 2), (-1, 224, 224, 3), (0,), (3,)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["DT_FLOAT", "DT_INT8", "DT_BOOL", "DT_STRING"])
@pytest.mark.parametrize("keys", [["x"], ["x", "y"]])
def test_example_in_the_hint_works(shape: tuple[int, ...] | None, dtype: str, keys: list[str]) -> None:
    signatures = {"other": Signature(PREDICT, dict.fromkeys(keys, TensorSpec(dtype, shape)), {})}
    example = example_arguments(signatures["other"])
    with pytest.raises(UsageError) as caught:
        build_request(signatures)
    assert caught.value.hint is not None
    if example is None:
        assert math.prod(shape or ()) in (0, -224 * 224 * 3)
        assert "--data request.json" in caught.value.hint
        return
    command = shlex.split(caught.value.hint.partition("NAME ")[2])
    assert command == ["--signature", "other", *example]
    if len(keys) == 1:
        build_request(signatures, values=example)
    else:
        assert example[::2] == ["--input", "--input"]
        build_request(signatures, inputs=example[1::2])


def test_default_signature() -> None:
    both = {"a": signature(x=BATCH), "serving_default": signature(x=())}
    assert choose_signature(both) == ("serving_default", both["serving_default"])
    assert choose_signature(both, "a") == ("a", both["a"])
    assert choose_signature({"a": both["a"]})[0] == "a"


def test_unknown_signature() -> None:
    signatures = {"predict_images": signature(x=BATCH), "other": signature(x=BATCH)}
    with pytest.raises(UsageError, match="its signatures are: predict_images, other") as caught:
        choose_signature(signatures, "predict_image")
    assert caught.value.hint == "Did you mean signature='predict_images'?"
    with pytest.raises(UsageError, match="no signature 'serving_default'"):
        choose_signature(signatures)
    with pytest.raises(UsageError, match="its signatures are: none"):
        choose_signature({})


def test_signature_that_is_not_for_predict() -> None:
    classify = signature("tensorflow/serving/classify", inputs=("DT_STRING", BATCH))
    with pytest.raises(UsageError, match=r"is for classify: its input is a serialized tf\.Example") as caught:
        build_request({"c": classify, "p": signature(x=BATCH)}, values=["1"], signature_name="c")
    assert caught.value.hint == "Use a predict signature: signature='p'"
    with pytest.raises(UsageError, match="is for regress"):
        build_request({"r": signature("tensorflow/serving/regress", inputs=("DT_STRING", BATCH))}, values=["1"])


def test_signature_without_inputs() -> None:
    with pytest.raises(UsageError, match="has no inputs"):
        build_request(default(), values=["1"])


def test_type_that_rest_does_not_carry() -> None:
    with pytest.raises(UsageError, match="does not accept DT_HALF over REST") as caught:
        build_request(default(x=("DT_HALF", BATCH)), values=["1"])
    assert "gRPC" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"instances": [1, 2]}', "serving_default"),
        ('  {"inputs": NaN, "signature_name": "s"}\n', "s"),
        ('{"instances": ' + "9" * 5000 + "}", "serving_default"),
    ],
)
def test_whole_request(tmp_path: Path, text: str, name: str) -> None:
    file = tmp_path / "request.json"
    file.write_text(text)
    for request in (read_request(text), read_request(str(file)), read_request("-", io.BytesIO(text.encode()))):
        assert (request.method, request.body, request.signature_name) == ("predict", text.encode(), name)


def test_byte_order_mark_is_not_sent(tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    file.write_bytes(b'\xef\xbb\xbf{"inputs": 1}')
    assert read_request(str(file)).body == b'{"inputs": 1}'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not JSON"),
        (b"[1, 2]", "is JSON, but not an object"),
        (b'{"instances": [1, 2}', "line 1, column 20"),
        (b'{"inputs": "\xff"}', "it is not UTF-8"),
        (b'{"a":' * 10_000, "nested too deeply"),
        ('{"inputs": 1}'.encode("utf-16"), "it is not UTF-8"),
    ],
)
def test_malformed_whole_request(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "request.json"
    file.write_bytes(content)
    for source, stdin in ((str(file), None), ("-", io.BytesIO(content))):
        with pytest.raises(UsageError) as caught:
            read_request(source, stdin)
        assert words in caught.value.message


@pytest.mark.parametrize(
    "source", ["/nowhere/request.json", ".", "", "a\0b", "[1, 2]", "{", '{"a": \udcff}', "{\ud800"]
)
def test_invalid_source(source: str) -> None:
    with pytest.raises(UsageError):
        read_request(source)


def test_built_requests_work_with_a_real_server(server_url: str) -> None:
    with RestClient(server_url) as client:
        signatures = client.metadata(ModelRef("half_plus_two")).signatures
        for row_or_column in ("row", "column"):
            request = build_request(signatures, values=["1", "2", "5"], format=row_or_column)
            response = json.loads(client.infer("predict", ModelRef("half_plus_two"), request.body).body)
            (numbers,) = response.values()
            flat = [number[0] if isinstance(number, list) else number for number in numbers]
            assert flat == [2.5, 3.0, 4.5]


def leaves(dtype: str) -> st.SearchStrategy[Any]:
    if dtype in INTEGER_RANGES:
        return st.integers(*INTEGER_RANGES[dtype])
    if dtype == "DT_BOOL":
        return st.booleans()
    if dtype == "DT_STRING":
        return st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    return st.floats(width=32 if dtype == "DT_FLOAT" else 64, allow_nan=False)


def tensors(leaf: st.SearchStrategy[Any], sizes: tuple[int, ...]) -> st.SearchStrategy[Any]:
    for size in reversed(sizes):
        leaf = st.lists(leaf, min_size=size, max_size=size)
    return leaf


@st.composite
def requests_and_tensors(draw: st.DrawFn) -> tuple[dict[str, Signature], list[str], dict[str, Any]]:
    """Draws a signature, and tensors of its shapes as text and as values."""
    specs: dict[str, TensorSpec] = {}
    given_tensors: dict[str, Any] = {}
    typed: list[str] = []
    for key in draw(
        st.lists(
            st.text(min_size=1, max_size=3).filter(lambda key: "=" not in key), min_size=1, max_size=3, unique=True
        )
    ):
        key = key.encode("utf-8", "replace").decode()
        if key in specs:
            continue
        dtype = draw(st.sampled_from([*INTEGER_RANGES, "DT_FLOAT", "DT_DOUBLE", "DT_BOOL", "DT_STRING"]))
        sizes = tuple(draw(st.lists(st.integers(1, 3), max_size=4)))
        shape = tuple(draw(st.sampled_from([size, -1])) for size in sizes)
        tensor = draw(tensors(leaves(dtype), sizes))
        if not sizes and dtype == "DT_STRING" and tensor.startswith(("[", "@")):
            tensor = "a" + tensor
        specs[key], given_tensors[key] = TensorSpec(dtype, shape), tensor
        text = tensor if isinstance(tensor, str) else json.dumps(tensor)
        typed.append(f"{key}={text}")
    return {"serving_default": Signature(PREDICT, specs, {})}, typed, given_tensors


@settings(deadline=None, max_examples=150)
@given(requests_and_tensors())
def test_built_request_contains_the_values(case: tuple[dict[str, Signature], list[str], dict[str, Any]]) -> None:
    signatures, typed, expected = case
    request = build_request(signatures, inputs=typed)
    document = json.loads(request.body)
    only = next(iter(expected)) if len(expected) == 1 else None
    if "inputs" in document:
        built = {only: document["inputs"]} if only is not None else document["inputs"]
    elif only is not None:
        built = {only: document["instances"]}
    else:
        built = {key: [instance[key] for instance in document["instances"]] for key in expected}
    assert built == expected
    assert json.dumps(built) == json.dumps({key: expected[key] for key in built})  # distinguishes 1, 1.0 and true


TEXTS = st.text(max_size=12) | st.text(alphabet='[]{}",01.-enaif:= @x', max_size=12)


@settings(deadline=None, max_examples=200)
@given(
    shapes=st.lists(st.none() | st.lists(st.integers(-1, 3), max_size=4).map(tuple), max_size=3),
    dtype=st.sampled_from([*INTEGER_RANGES, "DT_FLOAT", "DT_DOUBLE", "DT_BOOL", "DT_STRING", "DT_HALF", ""]),
    values=st.lists(TEXTS, max_size=3),
    inputs=st.lists(st.builds("{}={}".format, st.sampled_from(["x0", "x1", "", "="]), TEXTS) | TEXTS, max_size=4),
    chosen=st.sampled_from([None, "row", "column"]),
    name=st.none() | TEXTS,
)
def test_any_arguments_are_a_request_or_a_usage_error(
    shapes: list[tuple[int, ...] | None],
    dtype: str,
    values: list[str],
    inputs: list[str],
    chosen: Any,
    name: str | None,
) -> None:
    specs = {f"x{number}": TensorSpec(dtype, shape) for number, shape in enumerate(shapes)}
    try:
        request = build_request(
            {"serving_default": Signature(PREDICT, specs, {})},
            values=values, inputs=inputs, format=chosen, signature_name=name,
        )  # fmt: skip
    except UsageError:
        return
    assert isinstance(json.loads(request.body.decode()), dict)
