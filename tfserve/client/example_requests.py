"""Builds the body of a classify or regress request from what was typed, from a file, or from Python values.

A request contains examples, each of which maps feature names to values. The server does not report which features a
model needs, or their types: an integer is sent as int64, a number with a decimal point as float, everything else as
bytes. Source: ``tensorflow_serving/g3doc/api_rest.md``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from tfserve.client.data_files import is_csv, is_json_lines, read_csv, read_json_lines, refuse_beside_data
from tfserve.client.messages import InferenceRequest
from tfserve.client.predict_request import read_request
from tfserve.client.row_column import DEFAULT_SIGNATURE
from tfserve.client.signature_choice import EXAMPLE_METHODS, choose_signature
from tfserve.client.values import Value, encode_bytes, guess_value, looks_like_value, shorten
from tfserve.errors import Attribute, UsageError, Wording
from tfserve.models.saved_model import Signature
from tfserve.text import printable

if TYPE_CHECKING:
    from tfserve.client.connection import Connection
    from tfserve.client.model_ref import ModelRef

__all__ = [
    "Example",
    "ExampleMethod",
    "build_examples",
    "choose_example_signature",
    "examples_request",
    "looks_like_example",
    "plain_example",
    "read_context",
    "read_words",
]

ExampleMethod = Literal["classify", "regress"]
Example = Mapping[str, Value]

_FORM = "Write an example as x=1.5, or as JSON: '{\"x\": 1.5}'"


def examples_request(
    connection: Connection,
    model: ModelRef,
    method: ExampleMethod,
    *,
    words: Sequence[str] = (),
    inputs: Sequence[str] = (),
    context: Sequence[str] = (),
    data: str | None = None,
    signature: str | None = None,
) -> InferenceRequest:
    """Builds a classify or regress request; the signatures are read from the server unless `data` is a whole request.

    Args:
        connection: the server.
        model: the model that the request is for.
        method: the method of the API.
        words: examples: JSON objects, or features as ``KEY=VALUE``.
        inputs: further features, as ``KEY=VALUE``.
        context: features that all examples share, as ``KEY=VALUE``, or one JSON object.
        data: instead of `words` and `inputs`, a file with one example per line, or a whole request: a file, "-" for
            the standard input, or JSON.
        signature: the name of the signature; None for the default.

    Raises:
        UsageError: the examples are not valid, `data` cannot be read, or it is combined with other examples.
        RequestError: the signatures cannot be read from the server.
    """
    if data is None:
        examples: list[Example] | None = None
    else:
        examples = _read_lines(data)
        whole = examples is None
        refuse_beside_data(
            "the whole request" if whole else "a file of all examples",
            "Put all examples into the file, or type them all.",
            examples=words,
            inputs=inputs,
            context=context if whole else None,
            signature=signature if whole else None,
        )
        if whole:
            return replace(read_request(data), method=method)
    signatures = connection.metadata(model).signatures
    return build_examples(
        method,
        read_words([*words, *inputs]) if examples is None else examples,
        signature_name=choose_example_signature(signatures, method, signature)[0],
        context=read_context(context),
    )


def build_examples(
    method: ExampleMethod,
    examples: Sequence[Example],
    *,
    signature_name: str = DEFAULT_SIGNATURE,
    context: Example | None = None,
) -> InferenceRequest:
    """Returns the request for `examples`, which share the features of `context`.

    Raises:
        UsageError: the examples are nested too deeply.
    """
    document: dict[str, Any] = {} if signature_name == DEFAULT_SIGNATURE else {"signature_name": signature_name}
    if context:
        document["context"] = context
    document["examples"] = examples
    try:
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        raise UsageError("The examples are nested too deeply.") from None
    return InferenceRequest(method, text.encode("utf-8", "surrogatepass"), signature_name)


def looks_like_example(word: str) -> bool:
    """Returns whether `word` looks like a feature, an example or a value, unlike the name of a server or model."""
    return "=" in word or word.lstrip().startswith("{") or looks_like_value(word)


def read_words(words: Sequence[str]) -> list[Example]:
    """Reads typed examples: JSON objects, one for each example, or features as ``KEY=VALUE``.

    If a key is repeated, each occurrence belongs to another example; all keys then occur equally often.

    Raises:
        UsageError: a word is neither, the two forms are mixed, or the keys do not occur equally often.
    """
    if not words:
        raise UsageError("No examples were given.", hint=_FORM)
    if all(word.lstrip().startswith("{") for word in words):
        return [_object(word) for word in words]
    features = _pairs(words)
    counts = {name: len(values) for name, values in features.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{printable(name)} has {count}" for name, count in counts.items())
        raise UsageError(
            f"Every example requires the same features; {listed}.", hint=f"{_FORM}, one object for each example."
        )
    return [dict(zip(features, values, strict=True)) for values in zip(*features.values(), strict=True)]


def read_context(words: Sequence[str]) -> Example:
    """Reads the features that all examples share: ``KEY=VALUE`` each, or one JSON object.

    Raises:
        UsageError: a word is neither, or a key is repeated.
    """
    if len(words) == 1 and words[0].lstrip().startswith("{"):
        return _object(words[0])
    features = _pairs(words)
    for name, values in features.items():
        if len(values) > 1:
            raise UsageError(
                f"The context has {printable(name)} twice.", hint=f"Give several values as a list: {name}='[1.0, 2.0]'"
            )
    return {name: values[0] for name, values in features.items()}


def plain_example(example: Mapping[str, Any]) -> Example:
    """Converts an example, which may contain bytes and NumPy's numbers and arrays, to values that JSON can carry.

    Raises:
        UsageError: a feature has a value of another type.
    """
    if not isinstance(example, Mapping):
        raise UsageError(f"{shorten(example)} is not an example.", hint="Give a dict of features by name.")
    return {str(name): _plain(value, str(name)) for name, value in example.items()}


def _plain(value: Any, name: str) -> Value:
    if hasattr(value, "tolist"):  # a NumPy array or number
        value = value.ravel().tolist() if value.ndim else value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item, name) for item in value]
    if isinstance(value, bytes):
        return encode_bytes(value)
    if not isinstance(value, (int, float, str)):
        raise UsageError(
            f"The feature {printable(name)} is {shorten(value)}.", hint="Give int, float, bool, str or bytes."
        )
    return value


def choose_example_signature(
    signatures: Mapping[str, Signature], method: ExampleMethod, name: str | None
) -> tuple[str, Signature]:
    """Returns the signature `name`, else ``serving_default``, else the only one for `method`; with its name.

    Raises:
        UsageError: the model has no signature `name`; or `name` is None, and the model has several for `method`.
    """
    if name is not None:
        return choose_signature(signatures, name)
    fitting = [known for known, signature in signatures.items() if EXAMPLE_METHODS.get(signature.method) == method]
    if DEFAULT_SIGNATURE in fitting or not fitting:  # servers may ignore the declared method
        return choose_signature(signatures)
    if len(fitting) > 1:
        raise UsageError(
            f"The model has several signatures for {method}: {', '.join(map(printable, fitting))}.",
            hint=Wording("Choose one: {signature}", signature=Attribute("signature", printable(fitting[0]))),
        )
    return fitting[0], signatures[fitting[0]]


def _read_lines(source: str) -> list[Example] | None:
    """Returns the examples in a file of JSON lines or CSV; None if the name of `source` says that it is neither.

    Raises:
        UsageError: the file cannot be read, or its content does not match its name.
    """
    if is_csv(source):
        return [{name: _cell(text) for name, text in row.items()} for row in read_csv(source)]
    if not is_json_lines(source):
        return None
    examples = read_json_lines(source)
    for number, example in enumerate(examples, 1):
        if not isinstance(example, dict):
            raise UsageError(f"Example {number} of {shorten(source)} is not a JSON object.", hint=_FORM)
    return examples


def _pairs(words: Sequence[str]) -> dict[str, list[Value]]:
    features: dict[str, list[Value]] = {}
    for word in words:
        name, separator, text = word.partition("=")
        if not separator or not name or name.lstrip().startswith("{"):
            raise UsageError(f"{shorten(word)} is not KEY=VALUE; a feature requires a name.", hint=_FORM)
        features.setdefault(name, []).append(guess_value(text))
    return features


def _object(word: str) -> Example:
    try:
        example = json.loads(word)
    except (ValueError, RecursionError):
        raise UsageError(f"{shorten(word)} is not a JSON object.", hint=_FORM) from None
    return dict(example)


def _cell(text: str) -> Value:
    """Returns the value of a cell, which never names a file; text that only starts like a list is text."""
    if text.startswith("@"):
        return text
    try:
        return guess_value(text)
    except UsageError:
        if text.startswith("["):
            return text
        raise
