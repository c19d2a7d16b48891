"""Chooses a signature of a model, by its name or by default."""

from __future__ import annotations

from collections.abc import Mapping

from tfserve.client.examples import describe_inputs
from tfserve.client.row_column import DEFAULT_SIGNATURE
from tfserve.errors import Attribute, UsageError, Wording
from tfserve.models.saved_model import Signature
from tfserve.text import nearest, printable

__all__ = [
    "EXAMPLE_METHODS",
    "choose_signature",
    "example_signature_error",
    "is_example_signature",
]

EXAMPLE_METHODS = {"tensorflow/serving/classify": "classify", "tensorflow/serving/regress": "regress"}


def choose_signature(signatures: Mapping[str, Signature], name: str | None = None) -> tuple[str, Signature]:
    """Returns the signature `name`, else ``serving_default``, else the only one; with its name.

    Raises:
        UsageError: the model has no signature `name`; or `name` is None, and there are several without a default.
    """
    listed = ", ".join(printable(known) for known in signatures) or "none"
    if name is None:
        name = next(iter(signatures)) if len(signatures) == 1 else DEFAULT_SIGNATURE
        if name not in signatures:
            raise UsageError(
                f"The model has no signature {DEFAULT_SIGNATURE!r}; its signatures are: {listed}.",
                hint=Wording("Choose one with {signature}.") if signatures else "Export the model with a signature.",
            )
    elif name not in signatures:
        near = nearest(name, signatures)
        raise UsageError(
            f"The model has no signature {name!r}; its signatures are: {listed}.",
            hint=None if near is None else Wording("Did you mean {it}?", it=Attribute("signature", printable(near))),
        )
    return name, signatures[name]


def is_example_signature(signature: Signature) -> bool:
    """Returns whether `signature` is for classify or regress, whose input is a serialized ``tf.Example``."""
    return signature.method in EXAMPLE_METHODS


def example_signature_error(name: str, signature: Signature, signatures: Mapping[str, Signature]) -> UsageError:
    """Returns the error for a signature that predict cannot use."""
    method = EXAMPLE_METHODS[signature.method]
    others = [printable(other) for other, known in signatures.items() if not is_example_signature(known)]
    return UsageError(
        f"The signature {name!r} is for {method}: its input is a serialized tf.Example, not a tensor of values.",
        hint=Wording("Use a predict signature: {signature}", signature=Attribute("signature", others[0]))
        if others
        else f"Use it with tfserve {method}.",
        details=describe_inputs(signature),
    )
