"""From what a person typed to the body of a predict request.

Everything that a signature tells is checked before anything is sent, so that most mistakes are explained here, with
the signature beside them, and not by a server. Source of the two formats: ``tensorflow_serving/g3doc/api_rest.md``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from tfserve.client.data_files import is_json_lines, read_json_lines
from tfserve.client.examples import describe_inputs, example_hint
from tfserve.client.failures import RefusedError
from tfserve.client.files import read_bounded
from tfserve.client.row_column import (
    DEFAULT_SIGNATURE,
    REQUEST_HINT,
    Format,
    batch_size,
    check_row,
    encode_request,
    encode_tensors,
    natural_format,
)
from tfserve.client.shapes import fit, is_batched
from tfserve.client.signature_choice import choose_signature, example_signature_error, is_example_signature
from tfserve.client.values import Value, parse_value, shown
from tfserve.errors import RequestError, UsageError, Wording
from tfserve.models.saved_model import Signature
from tfserve.text import did_you_mean, printable

__all__ = [
    "PredictRequest",
    "build_request",
    "explain_mismatch",
    "read_request",
]

_MAX_DATA_BYTES = 2**30


@dataclass(frozen=True)
class PredictRequest:
    """A predict request, ready to be sent.

    Attributes:
        body: compact JSON in UTF-8; of ``--data`` the JSON as it was given.
        format: "row" ("instances") or "column" ("inputs").
        signature_name: the signature that it asks for.
        instances: how many instances it holds; None where the inputs have no common batch size.
    """

    body: bytes
    format: Format
    signature_name: str
    instances: int | None


def build_request(
    signatures: Mapping[str, Signature],
    *,
    values: Sequence[str] = (),
    inputs: Sequence[str] = (),
    rows: Sequence[Mapping[str, str]] = (),
    signature_name: str | None = None,
    format: Format | None = None,  # noqa: A002  # the word of the command line
) -> PredictRequest:
    """Builds the request for what was typed.

    Args:
        signatures: those of the model, by name.
        values: what stands behind the name: the values of the only input.
        inputs: ``KEY=VALUE`` each; a key may come more than once, for several values of one input.
        rows: instead of these, instances, each with the text of every input.
        signature_name: the signature to ask; None for the default.
        format: "row" or "column"; None for row where the signature has a batch dimension throughout and the
            inputs have the same number of instances, else column.

    Raises:
        UsageError: it does not fit the signature; the signature's inputs are in the details.
    """
    name, signature = choose_signature(signatures, signature_name)
    if is_example_signature(signature):
        raise example_signature_error(name, signature, signatures)
    if not signature.inputs:
        raise UsageError(
            f"The signature {name!r} has no inputs, so TensorFlow Serving cannot be asked for it over REST.",
            hint="Choose another with --signature NAME; tfserve metadata lists them.",
        )
    try:
        if rows:
            columns = _columns(rows, signature)
            tensors = {key: _tensor(key, texts, signature, data=True) for key, texts in columns.items()}
        else:
            typed = _texts_by_key(values, inputs, signature)
            tensors = {key: _tensor(key, texts, signature) for key, texts in typed.items()}
        chosen = format or natural_format(tensors, signature)
        if chosen == "row":
            check_row(tensors)
    except UsageError as error:
        hint = example_hint(signature, name)
        error.add_hint(f"\n{hint}" if error.hint else hint)
        error.details = describe_inputs(signature)
        raise
    sizes = {batch_size(tensor) for tensor in tensors.values()}
    batched = chosen == "row" or all(is_batched(spec.shape) for spec in signature.inputs.values())
    return PredictRequest(
        body=encode_request(name, chosen, encode_tensors(tensors, chosen)),
        format=chosen,
        signature_name=name,
        instances=sizes.pop() if batched and len(sizes) == 1 else None,
    )


def read_request(source: str, stdin: BinaryIO | None = None, *, signature_name: str | None = None) -> PredictRequest:
    """Reads a whole request body, to be sent as it is; of a file of JSON lines each line is an instance.

    Args:
        source: a file, "-" for `stdin`, or the JSON itself.
        stdin: what "-" stands for; None for that of the process.
        signature_name: the signature to ask with JSON lines, which cannot name one.

    Raises:
        UsageError: it cannot be read, or is not a JSON object in UTF-8.
    """
    if is_json_lines(source):
        lines = read_json_lines(source)
        try:
            content = json.dumps(lines, ensure_ascii=False, separators=(",", ":"))
        except RecursionError:
            raise UsageError(f"{shown(source)} is nested too deeply.") from None
        asked = signature_name or DEFAULT_SIGNATURE
        return PredictRequest(encode_request(asked, "row", content), "row", asked, len(lines))
    inline = source.lstrip().startswith(("{", "["))
    what = "The request" if inline else "The standard input" if source == "-" else f"The file {shown(source)}"
    body = source.encode("utf-8", "surrogatepass") if inline else _read(source, what, stdin)  # refused below
    body = body.removeprefix(b"\xef\xbb\xbf")  # the mark that editors on Windows write is not part of JSON
    try:
        document = json.loads(body.decode("utf-8"), parse_int=float)  # an int may have too many digits for Python
    except UnicodeDecodeError:
        raise UsageError(f"{what} is not JSON: it is not UTF-8.", hint="Save it as UTF-8.") from None
    except RecursionError:
        raise UsageError(f"{what} is nested too deeply.") from None
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{what} is not JSON: {error.msg} (line {error.lineno}, column {error.colno}).",
            hint=REQUEST_HINT,
        ) from None
    if not isinstance(document, dict):
        raise UsageError(
            f"{what} is JSON, but not an object.", hint='Put the values into one: {"instances": [1.0, 2.0, 5.0]}'
        )
    name, instances = document.get("signature_name"), document.get("instances")
    return PredictRequest(
        body=body,
        format="row" if "instances" in document else "column",
        signature_name=name if isinstance(name, str) and name else DEFAULT_SIGNATURE,
        instances=len(instances) if isinstance(instances, list) else None,
    )


def explain_mismatch(error: RequestError, signature: Signature, name: str = DEFAULT_SIGNATURE) -> RequestError:
    """Returns `error` with the inputs of `signature` beside it, if it is the server's refusal of a request (400).

    Any other error is returned as it is.
    """
    if not isinstance(error, RefusedError) or error.status != 400:
        return error
    return RefusedError(
        error.wording,
        status=error.status,
        reason=error.reason,
        hint=example_hint(signature, name),
        details=describe_inputs(signature),
    )


def _texts_by_key(values: Sequence[str], inputs: Sequence[str], signature: Signature) -> dict[str, list[str]]:
    """Returns what was typed for each input, in the order of the signature."""
    known = signature.inputs
    if values and inputs:
        raise UsageError("Values and --input exclude each other.", hint="Give every input with --input KEY=VALUE.")
    if values:
        if len(known) > 1:
            raise UsageError(f"The signature has {len(known)} inputs, so each value needs the name of its input.")
        return {next(iter(known)): list(values)}
    if not inputs:
        raise UsageError("No values were given.")
    texts: dict[str, list[str]] = {key: [] for key in known}
    for argument in inputs:
        fitting = [key for key in known if argument.startswith(f"{key}=")]  # a key may hold "=" itself
        key = max(fitting, key=len) if fitting else argument.partition("=")[0]
        if "=" not in argument:
            raise UsageError(f"{shown(argument)} is not KEY=VALUE.")
        if key not in texts:
            raise UsageError(f"The signature has no input {shown(key)}.", hint=did_you_mean(key, known))
        texts[key].append(argument[len(key) + 1 :])
    missing = [printable(key) for key, given in texts.items() if not given]
    if missing:
        raise UsageError(f"Nothing was given for {', '.join(missing)}.")
    return texts


def _columns(rows: Sequence[Mapping[str, str]], signature: Signature) -> dict[str, list[str]]:
    """Returns the text of every instance for each input, in the order of the signature."""
    known = signature.inputs
    for number, row in enumerate(rows, 1):
        for key in row:
            if key not in known:
                raise UsageError(f"The signature has no input {shown(key)}.", hint=did_you_mean(key, known))
        if missing := [printable(key) for key in known if key not in row]:
            raise UsageError(f"Row {number} has nothing for {', '.join(missing)}.")
    return {key: [row[key] for row in rows] for key in known}


def _tensor(key: str, texts: Sequence[str], signature: Signature, *, data: bool = False) -> Value:
    """Returns the tensor of an input; in `data`, text is nothing but text, and never the name of a file."""
    spec = signature.inputs[key]
    try:
        if data and spec.dtype == "DT_STRING":
            return fit(texts, spec.shape)
        return fit([parse_value(text, spec.dtype) for text in texts], spec.shape)
    except UsageError as error:
        if len(signature.inputs) == 1:
            raise
        raise UsageError(
            Wording("{key}: {problem}", key=printable(key), problem=error.wording), hint=error.hint_wording
        ) from None


def _read(source: str, what: str, stdin: BinaryIO | None) -> bytes:
    return read_bounded(
        (stdin or sys.stdin.buffer) if source == "-" else source,
        _MAX_DATA_BYTES,
        what=what,
        hint="Give a file, or a JSON object.",
    )
