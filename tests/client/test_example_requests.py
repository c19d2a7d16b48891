from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfserve.client.example_protos import build_input
from tfserve.client.example_requests import (
    build_examples,
    choose_example_signature,
    examples_request,
    looks_like_example,
    read_context,
    read_words,
)
from tfserve.client.messages import InferenceRequest
from tfserve.client.model_ref import ModelRef
from tfserve.errors import RequestError, UsageError
from tfserve.models.saved_model import Signature

from .fake_connection import FakeConnection

CLASSIFY = Signature("tensorflow/serving/classify", {}, {})
REGRESS = Signature("tensorflow/serving/regress", {}, {})
PREDICT = Signature("tensorflow/serving/predict", {}, {})


@pytest.mark.parametrize(
    ("words", "examples"),
    [
        (["x=1"], [{"x": 1}]),
        (["x=1.0", "y=a b", "x=-.5e1", "y="], [{"x": 1.0, "y": "a b"}, {"x": -5.0, "y": ""}]),
        (["x=[1.0, 2.0]", "a=b=c", 'n="1"', "t=TRUE"], [{"x": [1.0, 2.0], "a": "b=c", "n": "1", "t": True}]),
        (['{"x": 1.5}', ' {"y": ["a"]}'], [{"x": 1.5}, {"y": ["a"]}]),
        (["{}"], [{}]),
    ],
)
def test_words(words: list[str], examples: list[dict[str, object]]) -> None:
    assert json.dumps(read_words(words)) == json.dumps(examples)  # distinguishes 1, 1.0 and true


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "No examples were given"),
        (["1"], "'1' is not KEY=VALUE; a feature requires a name"),
        (["=1"], "is not KEY=VALUE"),
        (["x=1", '{"x": 1}'], "is not KEY=VALUE"),
        (["{x=1}"], "is not a JSON object"),
        (["x=[1"], "is not JSON"),
        (["x=9223372036854775808"], "out of the range of DT_INT64"),
        (["x=1", "x=2", "y=1"], "x has 2, y has 1"),
        (["x=@/nowhere"], "cannot be read"),
    ],
)
def test_words_that_are_not_examples(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        read_words(words)
    assert "\x1b" not in caught.value.message


def test_content_of_a_file_is_a_value(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"\xff\0")
    assert read_words([f"image=@{tmp_path}/image"]) == [{"image": {"b64": "/wA="}}]


def test_context() -> None:
    assert read_context(["country=FI", "age=31"]) == {"country": "FI", "age": 31}
    assert read_context(['{"a": [1]}']) == {"a": [1]}
    assert read_context([]) == {}
    with pytest.raises(UsageError, match="has a twice"):
        read_context(["a=1", "a=2"])


def test_request() -> None:
    request = build_examples("regress", [{"x": 1.0}], signature_name="other", context={"y": "ü"})
    assert request.body.decode() == '{"signature_name":"other","context":{"y":"ü"},"examples":[{"x":1.0}]}'
    assert build_examples("regress", [{}]).body == b'{"examples":[{}]}'


def test_data(tmp_path: Path) -> None:
    def built(data: str) -> InferenceRequest:
        return examples_request(FakeConnection({"s": CLASSIFY}), ModelRef("m"), "classify", data=data)

    def examples(data: str) -> object:
        return json.loads(built(data).body)["examples"]

    (tmp_path / "a.csv").write_text('x,path,text\n1,@/etc/passwd,[draft]\n-2.5,"[1, 2]",\n')
    assert examples(str(tmp_path / "a.csv")) == [
        {"x": 1, "path": "@/etc/passwd", "text": "[draft]"},  # cells are not file names
        {"x": -2.5, "path": [1, 2]},
    ]
    (tmp_path / "a.jsonl").write_text('{"x": 1}\n{}\n')
    assert examples(str(tmp_path / "a.jsonl")) == [{"x": 1}, {}]
    body = '{"signature_name": "s", "examples": [{}]}'
    assert built(body) == InferenceRequest("classify", body.encode(), "s")
    (tmp_path / "a.jsonl").write_text("{}\n1\n")
    with pytest.raises(UsageError, match=r"Example 2 of .* is not a JSON object"):
        built(str(tmp_path / "a.jsonl"))


def test_whole_request_requires_no_signatures() -> None:
    unreachable = FakeConnection(RequestError("unreachable"))
    assert examples_request(unreachable, ModelRef("m"), "regress", data='{"examples": []}').method == "regress"
    with pytest.raises(RequestError, match="unreachable"):
        examples_request(unreachable, ModelRef("m"), "regress", words=["x=1"])


def test_choice_of_the_signature() -> None:
    known = {"a": CLASSIFY, "b": REGRESS, "c": REGRESS, "serving_default": PREDICT}
    assert choose_example_signature(known, "classify", None) == ("a", CLASSIFY)
    assert choose_example_signature(known, "classify", "b") == ("b", REGRESS)  # the server decides whether it is valid
    assert choose_example_signature({**known, "serving_default": REGRESS}, "regress", None)[0] == "serving_default"
    assert choose_example_signature({"serving_default": PREDICT, "x": PREDICT}, "regress", None)[1] == PREDICT
    with pytest.raises(UsageError, match="several signatures for regress: b, c"):
        choose_example_signature(known, "regress", None)
    with pytest.raises(UsageError, match="no signature 'aa'") as caught:
        choose_example_signature(known, "classify", "aa")
    assert caught.value.hint == "Did you mean signature='a'?"


@pytest.mark.parametrize(("word", "typed"), [("x=1", True), ('{"a": 1}', True), ("1", True), ("my_model-1.0", False)])
def test_names_and_examples(word: str, typed: bool) -> None:
    assert looks_like_example(word) is typed


TEXT = st.text(st.sampled_from('a{["\ud800\udcff\x1bü'), max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT | st.just("b64"), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=60)
@given(st.lists(st.text(max_size=8) | st.from_regex(r"[a-c]=.{0,6}") | JSON.map(json.dumps), max_size=3))
def test_any_words_are_a_request_or_a_usage_error(words: list[str]) -> None:
    with suppress(UsageError):
        assert build_examples("classify", read_words(words), context=read_context(words[:1])).body


@settings(max_examples=60)
@given(JSON, JSON)
def test_any_document_is_a_message_or_a_usage_error(examples: object, context: object) -> None:
    with suppress(UsageError):
        build_input({"examples": [examples], "context": context}).SerializeToString()


def test_deeply_nested_examples() -> None:
    word = '{"x": ' + "[" * 950 + "]" * 950 + "}"
    with suppress(UsageError):
        build_examples("classify", read_words([word]))
    with pytest.raises(UsageError, match="not a JSON object"):
        read_words([word.replace("[", "[" * 200)])
