"""From what a person typed, or a file, to the body of a classify or regress request.

These take examples, each a number of features by name, and nothing tells a client which features a model wants or of
which kind: a whole number is an int64, one with a point a float, everything else bytes. Source:
``tensorflow_serving/g3doc/api_rest.md``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tfserve.client.data_files import is_csv, is_json_lines, read_csv, read_json_lines
from tfserve.client.failures import RefusedError
from tfserve.client.json_document import read_json
from tfserve.client.predict_request import read_request
from tfserve.client.row_column import DEFAULT_SIGNATURE
from tfserve.client.signature_choice import EXAMPLE_METHODS, choose_signature
from tfserve.client.values import Value, encode_bytes, guess_value, looks_like_value, shown
from tfserve.errors import RequestError, UsageError
from tfserve.models.saved_model import Signature
from tfserve.text import nearest, printable

__all__ = [
    "Example",
    "ExampleVerb",
    "ExamplesRequest",
    "build_examples",
    "choose_example_signature",
    "explain_examples",
    "looks_typed",
    "plain_example",
    "read_context",
    "read_examples",
    "read_words",
]

ExampleVerb = Literal["classify", "regress"]
Example = Mapping[str, Value]

# As the operation ParseExample says it.
_MISSING_FEATURE = re.compile(r"Feature: (.{1,200}?) \(data type: (\w+)\) is required")
_FORM = "Write an example as x=1.5, or as JSON: '{\"x\": 1.5}'"


@dataclass(frozen=True)
class ExamplesRequest:
    """A classify or regress request, ready to be sent.

    Attributes:
        body: compact JSON in UTF-8; of ``--data`` with JSON as it was given.
        signature_name: the signature that it asks for.
    """

    body: bytes
    signature_name: str


def build_examples(
    examples: Sequence[Example], *, signature_name: str = DEFAULT_SIGNATURE, context: Example | None = None
) -> ExamplesRequest:
    """Returns the request for `examples`; each has the features of `context` besides its own.

    Raises:
        UsageError: they are nested too deeply.
    """
    document: dict[str, Any] = {} if signature_name == DEFAULT_SIGNATURE else {"signature_name": signature_name}
    if context:
        document["context"] = context
    document["examples"] = examples
    try:
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        raise UsageError("The examples are nested too deeply.") from None
    return ExamplesRequest(text.encode("utf-8", "surrogatepass"), signature_name)


def looks_typed(word: str) -> bool:
    """Returns whether `word` looks like a feature, an example or a value, which names of servers and models do not."""
    return "=" in word or word.lstrip().startswith("{") or looks_like_value(word)


def read_words(words: Sequence[str]) -> list[Example]:
    """Reads examples as they are typed: JSON objects, one an example, or ``KEY=VALUE``.

    A key that comes more than once begins as many examples; then every key comes as often.

    Raises:
        UsageError: a word is neither, both kinds are mixed, or the keys do not come equally often.
    """
    if not words:
        raise UsageError("No examples were given.", hint=_FORM)
    if all(word.lstrip().startswith("{") for word in words):
        return [_object(word) for word in words]
    features = _pairs(words)
    counts = {name: len(values) for name, values in features.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{printable(name)} has {count}" for name, count in counts.items())
        raise UsageError(f"Every example needs the same features; {listed}.", hint=f"{_FORM}, one object an example.")
    return [dict(zip(features, values, strict=True)) for values in zip(*features.values(), strict=True)]


def read_context(words: Sequence[str]) -> Example:
    """Reads the features that all examples share: ``KEY=VALUE`` each, or one JSON object.

    Raises:
        UsageError: they are neither, or a key comes twice.
    """
    if len(words) == 1 and words[0].lstrip().startswith("{"):
        return _object(words[0])
    features = _pairs(words)
    for name, values in features.items():
        if len(values) > 1:
            raise UsageError(f"The context has {printable(name)} twice.", hint=f"Several values: {name}='[1.0, 2.0]'")
    return {name: values[0] for name, values in features.items()}


def read_examples(source: str) -> list[Example] | ExamplesRequest:
    """Reads the examples of a file of JSON lines or CSV; anything else is a whole request (`payload.read_request`).

    Raises:
        UsageError: it cannot be read, or is not what its name says.
    """
    if is_csv(source):
        return [{name: _cell(text) for name, text in row.items()} for row in read_csv(source)]
    if is_json_lines(source):
        examples = read_json_lines(source)
        for number, example in enumerate(examples, 1):
            if not isinstance(example, dict):
                raise UsageError(f"Example {number} of {shown(source)} is not a JSON object.", hint=_FORM)
        return examples
    request = read_request(source)
    return ExamplesRequest(request.body, request.signature_name)


def plain_example(example: Mapping[str, Any]) -> Example:
    """Returns an example of a program, which may hold NumPy's numbers and arrays and bytes, as JSON carries it.

    Raises:
        UsageError: it holds something else.
    """
    if not isinstance(example, Mapping):
        raise UsageError(f"{shown(example)} is not an example: a dict of features by name.")
    return {str(name): _plain(value, str(name)) for name, value in example.items()}


def _plain(value: Any, name: str) -> Value:
    if hasattr(value, "tolist"):  # NumPy's
        value = value.ravel().tolist() if value.ndim else value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item, name) for item in value]
    if isinstance(value, bytes):
        return encode_bytes(value)
    if not isinstance(value, (int, float, str)):
        raise UsageError(
            f"The feature {printable(name)} holds {shown(value)}.", hint="It takes int, float, bool, str and bytes."
        )
    return value


def choose_example_signature(
    signatures: Mapping[str, Signature], verb: ExampleVerb, name: str | None
) -> tuple[str, Signature]:
    """Returns name and signature: of that name, else ``serving_default``, else the only one for `verb`.

    Raises:
        UsageError: there is none of that name, or without a name there are several to choose from.
    """
    if name is not None:
        return choose_signature(signatures, name)
    fitting = [known for known, signature in signatures.items() if EXAMPLE_METHODS.get(signature.method) == verb]
    if DEFAULT_SIGNATURE in fitting or not fitting:  # a server need not mind what a signature is said to be for
        return choose_signature(signatures)
    if len(fitting) > 1:
        raise UsageError(
            f"The model has several signatures for {verb}: {', '.join(map(printable, fitting))}.",
            hint=f"Choose one: --signature {printable(fitting[0])}",
        )
    return fitting[0], signatures[fitting[0]]


def explain_examples(error: RequestError, request: ExamplesRequest) -> RequestError:
    """Returns `error` with what to change in `request`, if the server refused it (400) for its features."""
    if not isinstance(error, RefusedError) or error.status != 400 or error.reason is None:
        return error
    if missing := _MISSING_FEATURE.search(error.reason):
        near = nearest(missing[1], _feature_names(request))
        hint = f"The model needs the feature {printable(missing[1])!r}, {missing[2]}."
        if near:
            hint += f" Is {printable(near)!r} meant to be that?"
    elif "types don't match" in error.reason:
        hint = 'A whole number is an int64, one with a point (1.0) a float, and a number in quotes ("1") bytes.'
    else:
        return error
    return RefusedError(error.wording, status=error.status, reason=error.reason, hint=hint)


def _feature_names(request: ExamplesRequest) -> set[str]:
    examples = read_json(request.body).get("examples")
    return {name for example in examples if isinstance(example, dict) for name in example}


def _pairs(words: Sequence[str]) -> dict[str, list[Value]]:
    features: dict[str, list[Value]] = {}
    for word in words:
        name, separator, text = word.partition("=")
        if not separator or not name or name.lstrip().startswith("{"):
            raise UsageError(f"{shown(word)} is not KEY=VALUE; a feature needs its name.", hint=_FORM)
        features.setdefault(name, []).append(guess_value(text))
    return features


def _object(word: str) -> Example:
    try:
        example = json.loads(word)
    except (ValueError, RecursionError):
        raise UsageError(f"{shown(word)} is not a JSON object.", hint=_FORM) from None
    return dict(example)


def _cell(text: str) -> Value:
    """Returns the value of a cell; data names no files, and what only looks like a list is text."""
    if text.startswith("@"):
        return text
    try:
        return guess_value(text)
    except UsageError:
        if text.startswith("["):
            return text
        raise
