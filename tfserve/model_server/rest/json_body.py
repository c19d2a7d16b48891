"""Parses bodies that are too large for the event loop, within the limits of the server."""

from __future__ import annotations

from collections.abc import Mapping

from tfserve.model_server.rest.json_examples import ExamplesInput, parse_examples
from tfserve.model_server.rest.json_input import PredictInput, parse_document, parse_predict
from tfserve.model_server.rest.json_scan import PIECE_BYTES, Scan
from tfserve.model_server.rest.json_slices import parse_in_pieces
from tfserve.model_server.rest.limits import LIGHT_BYTES, Limits
from tfserve.model_server.runtime.servable import DEFAULT_SIGNATURE, no_signature
from tfserve.model_server.status import invalid_argument

_PARSER_DEPTH = 1024
"""No text that is nested deeper is parsed, whatever the limit of the server."""


def parse_predict_body(
    text: memoryview, signatures: Mapping[str, Mapping[str, int]], limits: Limits
) -> tuple[PredictInput, Mapping[str, int]]:
    """Parses a predict request.

    Args:
        text: JSON.
        signatures: the inputs of each signature of the model: name -> alias -> ``DataType`` number.
        limits: of the server.

    Returns:
        The request, and the inputs of its signature.

    Raises:
        StatusError: as `parse_document` and `parse_predict`, or the text exceeds a limit.
    """
    found: Mapping[str, int] = {}

    def inputs_of(name: str) -> Mapping[str, int]:
        nonlocal found
        inputs = signatures.get(name or DEFAULT_SIGNATURE)
        if inputs is None:
            raise no_signature(name)
        found = inputs
        return inputs

    scan = check(text, limits)
    if scan is None and len(text) > PIECE_BYTES and _has_tokens(body := bytes(text)):
        scan = Scan(body, limits)
    _check_end(scan, text)
    if scan is not None and scan.end > 0:
        text = text[: scan.end]
    if scan is not None and (spans := scan.large_lists()):
        return parse_in_pieces(text, spans, inputs_of), found
    return parse_predict(parse_document(bytes(text)), inputs_of), found


def _has_tokens(body: bytes) -> bool:
    """Returns False only if a text has no NaN or Infinity, which take long to parse at once."""
    return (b"N" in body and b"NaN" in body) or (b"I" in body and b"Infinity" in body)


def parse_examples_body(text: memoryview, limits: Limits) -> ExamplesInput:
    """Parses a classify or regress request.

    Raises:
        StatusError: as `parse_examples`, or the text exceeds a limit.
    """
    scan = check(text, limits)
    _check_end(scan, text)
    return parse_examples(bytes(text if scan is None or scan.end < 0 else text[: scan.end]))


def _check_end(scan: Scan | None, text: memoryview) -> None:
    """Raises StatusError if a large text is truncated: a parser would need much memory to notice it."""
    if scan is not None and scan.is_open and len(text) > PIECE_BYTES:
        raise invalid_argument(f"JSON Parse error: A list, an object or a string has no end. at offset: {len(text)}")


def check(text: memoryview | bytes, limits: Limits) -> Scan | None:
    """Looks through a text unless it is too small to exceed a limit.

    Returns:
        What there is in the text; None if it is small.

    Raises:
        StatusError: INVALID_ARGUMENT, it has too many values, or is nested too deeply.
    """
    most_values = 2 * len(text)  # "", is four values
    if len(text) > LIGHT_BYTES or most_values > limits.json_values or limits.json_depth < _PARSER_DEPTH:
        return Scan(text, limits)
    return None
