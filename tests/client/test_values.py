from __future__ import annotations

import base64
import json
import math
import shlex
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfserve.client.values import INTEGER_RANGES, guess_value, looks_like_value, parse_value
from tfserve.errors import UsageError

DTYPES = (*INTEGER_RANGES, "DT_FLOAT", "DT_DOUBLE", "DT_BOOL", "DT_STRING")


@pytest.mark.parametrize(
    ("text", "dtype", "value"),
    [
        ("1", "DT_FLOAT", 1),
        (" 1.5 ", "DT_FLOAT", 1.5),
        ("+.5", "DT_FLOAT", 0.5),
        ("2.", "DT_FLOAT", 2.0),
        ("-1e-3", "DT_DOUBLE", -0.001),
        ("3.4028234663852886e38", "DT_FLOAT", 3.4028234663852886e38),
        ("inf", "DT_FLOAT", math.inf),
        ("-Infinity", "DT_FLOAT", -math.inf),
        ("[1, 2.5]", "DT_FLOAT", [1, 2.5]),
        ("[[1], [-inf]]", "DT_DOUBLE", [[1], [-math.inf]]),
        ("[+Inf, INFINITY]", "DT_DOUBLE", [math.inf, math.inf]),
        ("9007199254740993", "DT_INT64", 9007199254740993),
        ("-9223372036854775808", "DT_INT64", -(2**63)),
        ("18446744073709551615", "DT_UINT64", 2**64 - 1),
        ("[255, 0]", "DT_UINT8", [255, 0]),
        ("007", "DT_INT8", 7),
        ("true", "DT_BOOL", True),
        ("False", "DT_BOOL", False),
        ("[true, FALSE]", "DT_BOOL", [True, False]),
        ("hello  world", "DT_STRING", "hello  world"),
        ("", "DT_STRING", ""),
        ("5", "DT_STRING", "5"),
        ('"quoted"', "DT_STRING", '"quoted"'),
        ('["a", ["b"]]', "DT_STRING", ["a", ["b"]]),
        ('["@a"]', "DT_STRING", ["@a"]),
        ('[{"b64": "AA=="}]', "DT_STRING", [{"b64": "AA=="}]),
        ("ü\udcff", "DT_STRING", {"b64": base64.b64encode("ü".encode() + b"\xff").decode()}),
    ],
)
def test_values(text: str, dtype: str, value: object) -> None:
    parsed = parse_value(text, dtype)
    assert (parsed, type(parsed)) == (value, type(value))


@pytest.mark.parametrize(("text", "sign"), [("-0", -1), ("0", 1), ("-0.0", -1), ("[-0]", -1)])
def test_sign_of_zero(text: str, sign: int) -> None:
    value = parse_value(text, "DT_FLOAT")
    assert math.copysign(1, value[0] if isinstance(value, list) else value) == sign


@pytest.mark.parametrize("text", ["nan", "NaN", "-nan", "[nan]", "[-NaN]"])
def test_not_a_number(text: str) -> None:
    value = parse_value(text, "DT_FLOAT")
    assert math.isnan(value[0] if isinstance(value, list) else value)


@pytest.mark.parametrize(
    ("text", "dtype", "words"),
    [
        ("a", "DT_FLOAT", "'a' is not a number, which DT_FLOAT requires"),
        ("", "DT_FLOAT", "not a number"),
        ("1_000", "DT_FLOAT", "not a number"),
        ("\u0661", "DT_INT32", "not an integer"),
        ("0x10", "DT_INT32", "not an integer"),
        ("true", "DT_FLOAT", "not a number"),
        ("[true]", "DT_FLOAT", "True in '[true]' is not a number"),
        ("[null]", "DT_FLOAT", "None in '[null]' is not a number"),
        ('["1"]', "DT_FLOAT", "not a number"),
        ('[{"b64": "AA=="}]', "DT_FLOAT", "not a number"),
        ("[1", "DT_FLOAT", "is not a JSON list"),
        ("[1] 2", "DT_FLOAT", "is not a JSON list"),
        ("[" * 5000, "DT_FLOAT", "nested too deeply"),
        ("1e39", "DT_FLOAT", "out of the range of DT_FLOAT"),
        ("1e400", "DT_DOUBLE", "out of the range"),
        ("[1e400]", "DT_DOUBLE", "out of the range"),
        ("1" + "0" * 309, "DT_DOUBLE", "out of the range of DT_DOUBLE"),
        ("9" * 10_000, "DT_DOUBLE", "out of the range"),
        (f"[{'9' * 10_000}]", "DT_INT64", "out of the range"),
        ("1.0", "DT_INT32", "not an integer"),
        ("[1.0]", "DT_INT32", "1.0 in '[1.0]' is not an integer"),
        ("nan", "DT_INT32", "not an integer"),
        ("[NaN]", "DT_INT32", "not an integer"),
        ("[true]", "DT_INT32", "not an integer"),
        ("128", "DT_INT8", "128 is out of the range of DT_INT8: -128 to 127"),
        ("-1", "DT_UINT64", "out of the range"),
        ("[1, 2147483648]", "DT_INT32", "out of the range"),
        ("1", "DT_BOOL", "not DT_BOOL"),
        ("[1]", "DT_BOOL", "not DT_BOOL"),
        ("[a", "DT_STRING", "is not a valid JSON list"),
        ("[1]", "DT_STRING", "1 is not a string"),
        ('[{"b64": 1}]', "DT_STRING", "is not a string"),
        ('[{"b64": "", "a": 1}]', "DT_STRING", "is not a string"),
        ("\ud800", "DT_STRING", "not valid Unicode"),
        (r'["\ud800"]', "DT_STRING", "not valid Unicode"),
        ("@/nowhere/at/all", "DT_STRING", "cannot be read: No such file"),
        ("@", "DT_STRING", "cannot be read"),
        ("@a\0b", "DT_STRING", "cannot be read"),
        ("@.", "DT_STRING", "cannot be read: Is a directory"),
        ("1", "DT_HALF", "does not accept DT_HALF over REST"),
        ("1", "DT_COMPLEX64", "does not accept DT_COMPLEX64 over REST"),
    ],
)  # fmt: skip
def test_invalid_values(text: str, dtype: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_value(text, dtype)
    assert words in caught.value.message
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    "text",
    ["1", "-1", "-.5", "+2.", "-2.5e-3", " 1 ", "-inf", "-infinity", "-Inf", "-INF", "-nan", "NaN", "TRUE", "false"],
)
def test_text_that_looks_like_a_value_is_one(text: str) -> None:
    assert looks_like_value(text)
    parse_value(text, "DT_BOOL" if text.lower() in ("true", "false") else "DT_DOUBLE")


@pytest.mark.parametrize(
    ("text", "looks"),
    [
        *(("[1, 2", True), (" [", True), ("@image.jpg", True)),
        *((text, False) for text in ("", "m", "-", "-v", "--inf", "1,2", "1_000", "infinite", "true_story")),
    ],
)
def test_text_that_looks_like_a_value(text: str, looks: bool) -> None:
    assert looks_like_value(text) is looks


@given(text=st.text(alphabet="0123456789.-+eEnaiftyru "))
def test_every_number_looks_like_a_value(text: str) -> None:
    try:
        parse_value(text, "DT_DOUBLE")
    except UsageError as error:
        if "is not a number" in error.message:
            assert not looks_like_value(text) or text.strip().lower() in ("true", "false")
    else:
        assert looks_like_value(text)


def test_several_numbers_in_one_text_are_explained() -> None:
    with pytest.raises(UsageError) as caught:
        parse_value("1,2,5", "DT_FLOAT")
    assert caught.value.hint is not None
    assert "1 2 5" in caught.value.hint


@pytest.mark.parametrize("text", ["[a", "@a b's", r"[\ü"])
def test_hint_shows_how_to_send_the_text_itself(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_value(text, "DT_STRING")
    (typed,) = shlex.split((caught.value.hint or "").partition("put it into a list: ")[2])
    assert parse_value(typed, "DT_STRING") == [text]


def test_file(tmp_path: Path) -> None:
    file = tmp_path / "image with spaces.jpg"
    content = bytes(range(256))
    file.write_bytes(content)
    assert base64.b64decode(parse_value(f"@{file}", "DT_STRING")["b64"]) == content


@settings(deadline=None)
@given(text=st.text() | st.text(alphabet='[]{}",0123456789.-+eEnaiftrusbd64: @\\'), dtype=st.sampled_from(DTYPES))
def test_any_text_is_a_value_or_a_usage_error(text: str, dtype: str) -> None:
    try:
        value = parse_value(text, dtype)
    except UsageError:
        return
    json.dumps(value, ensure_ascii=False).encode()  # every value can be sent


@settings(deadline=None)
@given(st.binary())
def test_bytes_of_an_argument_are_kept(argument: bytes) -> None:
    text = argument.decode("utf-8", "surrogateescape")  # as Python decodes its command line
    if text.startswith(("[", "@")):
        return
    value = parse_value(text, "DT_STRING")
    assert (value.encode() if isinstance(value, str) else base64.b64decode(value["b64"])) == argument


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-1", -1),
        ("1.", 1.0),
        ("-.5e1", -5.0),
        ("-inf", -math.inf),
        ("True", True),
        ("[1, [2.5]]", [1, [2.5]]),
        ('"1"', "1"),
        ("one", "one"),
        ("", ""),
        ("\udcff", {"b64": "/w=="}),
    ],
)
def test_guesses(text: str, value: object) -> None:
    assert (guess_value(text), type(guess_value(text))) == (value, type(value))


@pytest.mark.parametrize("text", ["[1", '"', "9" * 19, "1e999", "@/nowhere"])
def test_invalid_guesses(text: str) -> None:
    with pytest.raises(UsageError):
        guess_value(text)
