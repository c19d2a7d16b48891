"""Builds the body of a predict request from what was typed on the command line, or from a file.

Everything that a signature defines is checked before anything is sent, so that most mistakes are explained with the
signature beside them. Source of the two formats: ``tensorflow_serving/g3doc/api_rest.md``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO

from tfserve.client.data_files import is_csv, is_json_lines, read_csv, read_json_lines, refuse_beside_data
from tfserve.client.examples import describe_inputs, example_hint
from tfserve.client.messages import InferenceRequest
from tfserve.client.row_column import (
    DEFAULT_SIGNATURE,
    REQUEST_HINT,
    Format,
    check_row,
    encode_request,
    encode_tensors,
    natural_format,
)
from tfserve.client.shapes import reshape
from tfserve.client.signature_choice import choose_signature, example_signature_error, is_example_signature
from tfserve.client.values import TOO_LARGE, Value, parse_value, shorten
from tfserve.errors import Attribute, UsageError, Wording
from tfserve.host.files import read_bounded
from tfserve.models.saved_model import Signature
from tfserve.text import did_you_mean, printable

if TYPE_CHECKING:
    from tfserve.client.connection import Connection
    from tfserve.client.model_ref import ModelRef

__all__ = ["build_request", "predict_request", "read_request"]

_MAX_DATA_BYTES = 2**30


def predict_request(
    connection: Connection,
    model: ModelRef,
    *,
    values: Sequence[str] = (),
    inputs: Sequence[str] = (),
    data: str | None = None,
    signature: str | None = None,
    format: Format | None = None,  # noqa: A002  # the name of the option
) -> InferenceRequest:
    """Builds a predict request; the signatures are read from the server unless `data` is a whole request.

    Args:
        connection: the server.
        model: the model that the request is for.
        values: the values of the only input.
        inputs: values of inputs, as ``KEY=VALUE``.
        data: instead of `values` and `inputs`, a file with one instance per line, or a whole request: a file,
            "-" for the standard input, or JSON.
        signature: the name of the signature; None for the default.
        format: "row" or "column"; None for the natural one.

    Raises:
        UsageError: the values do not match the signature, `data` cannot be read, or it is combined with other values.
        RequestError: the signatures cannot be read from the server.
    """
    if data is not None:
        lines = is_json_lines(data) or is_csv(data)
        refuse_beside_data(
            "the whole request",
            'A request contains "signature_name", and "instances" for rows or "inputs" for columns.',
            values=values,
            inputs=inputs,
            signature=None if lines else signature,
            format=None if is_csv(data) else format,
        )
        if not is_csv(data):
            return read_request(data, signature_name=signature)
    return build_request(
        connection.metadata(model).signatures,
        values=values,
        inputs=inputs,
        rows=() if data is None else read_csv(data),
        signature_name=signature,
        format=format,
    )


def build_request(
    signatures: Mapping[str, Signature],
    *,
    values: Sequence[str] = (),
    inputs: Sequence[str] = (),
    rows: Sequence[Mapping[str, str]] = (),
    signature_name: str | None = None,
    format: Format | None = None,  # noqa: A002  # the word of the command line
) -> InferenceRequest:
    """Builds a request from text.

    Args:
        signatures: the signatures of the model, by name.
        values: the values of the only input.
        inputs: values of inputs, as ``KEY=VALUE``; a key may be repeated to give an input several values.
        rows: instead of `values` and `inputs`, instances, each with the text of every input.
        signature_name: the name of the signature; None for the default.
        format: "row" or "column"; None for row if all tensors of the signature have a batch dimension and the
            inputs have the same number of instances, else column.

    Raises:
        UsageError: the values do not match the signature; the inputs of the signature are in the details.
    """
    name, signature = choose_signature(signatures, signature_name)
    if is_example_signature(signature):
        raise example_signature_error(name, signature, signatures)
    if not signature.inputs:
        raise UsageError(
            f"The signature {name!r} has no inputs, so TensorFlow Serving cannot run it over REST.",
            hint=Wording(
                "Choose another with {signature}; tfserve metadata lists them.",
                signature=Attribute("signature", "NAME"),
            ),
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
    return InferenceRequest("predict", encode_request(name, chosen, encode_tensors(tensors, chosen)), name, signature)


def read_request(source: str, stdin: BinaryIO | None = None, *, signature_name: str | None = None) -> InferenceRequest:
    """Reads a whole request body, which is sent unchanged; in a file of JSON lines, each line is an instance.

    Args:
        source: a file, "-" for the standard input, or the JSON itself.
        stdin: the standard input; None for the one of the process.
        signature_name: the name of the signature for JSON lines, which cannot contain it.

    Raises:
        UsageError: `source` cannot be read, or is not a JSON object in UTF-8.
    """
    if is_json_lines(source):
        lines = read_json_lines(source)
        try:
            content = json.dumps(lines, ensure_ascii=False, separators=(",", ":"))
        except RecursionError:
            raise UsageError(f"{shorten(source)} is nested too deeply.") from None
        name = signature_name or DEFAULT_SIGNATURE
        return InferenceRequest("predict", encode_request(name, "row", content), name)
    inline = source.lstrip().startswith(("{", "["))
    what = "The request" if inline else "The standard input" if source == "-" else f"The file {shorten(source)}"
    body = source.encode("utf-8", "surrogatepass") if inline else _read(source, what, stdin)  # rejected below
    body = body.removeprefix(b"\xef\xbb\xbf")  # a byte order mark, written by editors on Windows, is not part of JSON
    try:
        document = json.loads(body.decode("utf-8"), parse_int=float)  # an integer may have too many digits for Python
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
            f"{what} is JSON, but not an object.", hint='Put the values into an object: {"instances": [1.0, 2.0, 5.0]}'
        )
    named = document.get("signature_name")
    return InferenceRequest("predict", body, named if isinstance(named, str) and named else DEFAULT_SIGNATURE)


def _texts_by_key(values: Sequence[str], inputs: Sequence[str], signature: Signature) -> dict[str, list[str]]:
    """Returns the typed values of each input, in the order of the signature."""
    known = signature.inputs
    if values and inputs:
        raise UsageError(
            Wording("{values} and {inputs} cannot be combined."),
            hint=Wording("Give every input with {inputs}.", inputs=Attribute("inputs", "KEY=VALUE")),
        )
    if values:
        if len(known) > 1:
            raise UsageError(f"The signature has {len(known)} inputs, so each value requires the name of its input.")
        return {next(iter(known)): list(values)}
    if not inputs:
        raise UsageError("No values were given.")
    texts: dict[str, list[str]] = {key: [] for key in known}
    for argument in inputs:
        fitting = [key for key in known if argument.startswith(f"{key}=")]  # a key may contain "="
        key = max(fitting, key=len) if fitting else argument.partition("=")[0]
        if "=" not in argument:
            raise UsageError(f"{shorten(argument)} is not KEY=VALUE.")
        if key not in texts:
            raise UsageError(f"The signature has no input {shorten(key)}.", hint=did_you_mean(key, known))
        texts[key].append(argument[len(key) + 1 :])
    missing = [printable(key) for key, given in texts.items() if not given]
    if missing:
        raise UsageError(f"No values were given for {', '.join(missing)}.")
    return texts


def _columns(rows: Sequence[Mapping[str, str]], signature: Signature) -> dict[str, list[str]]:
    """Returns the text of every instance for each input, in the order of the signature."""
    known = signature.inputs
    for number, row in enumerate(rows, 1):
        for key in row:
            if key not in known:
                raise UsageError(f"The signature has no input {shorten(key)}.", hint=did_you_mean(key, known))
        if missing := [printable(key) for key in known if key not in row]:
            raise UsageError(f"Row {number} has no value for {', '.join(missing)}.")
    return {key: [row[key] for row in rows] for key in known}


def _tensor(key: str, texts: Sequence[str], signature: Signature, *, data: bool = False) -> Value:
    """Returns the tensor of an input; text from a file (`data`) never names another file."""
    spec = signature.inputs[key]
    try:
        if data and spec.dtype == "DT_STRING":
            return reshape(texts, spec.shape)
        return reshape([parse_value(text, spec.dtype) for text in texts], spec.shape)
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
        hint="Name a file, or write a JSON object.",
        too_large=TOO_LARGE,
    )
