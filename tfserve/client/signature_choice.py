"""Which of a model's signatures is asked, and what else was meant where there is none of that name."""

from __future__ import annotations

from collections.abc import Mapping

from tfserve.client.examples import describe_inputs
from tfserve.client.row_column import DEFAULT_SIGNATURE
from tfserve.errors import UsageError
from tfserve.models.saved_model import Signature
from tfserve.text import did_you_mean, printable

__all__ = [
    "EXAMPLE_METHODS",
    "choose_signature",
    "example_signature_error",
    "is_example_signature",
]

EXAMPLE_METHODS = {"tensorflow/serving/classify": "classify", "tensorflow/serving/regress": "regress"}


def choose_signature(signatures: Mapping[str, Signature], name: str | None = None) -> tuple[str, Signature]:
    """Returns name and signature: of that name, else ``serving_default``, else the only one.

    Raises:
        UsageError: there is none of that name, or without a name there is more than one to choose from.
    """
    listed = ", ".join(printable(known) for known in signatures) or "none"
    if name is None:
        name = next(iter(signatures)) if len(signatures) == 1 else DEFAULT_SIGNATURE
        if name not in signatures:
            raise UsageError(
                f"The model has no signature {DEFAULT_SIGNATURE!r}; its signatures are: {listed}.",
                hint="Choose one with --signature NAME." if signatures else "Export the model with a signature.",
            )
    elif name not in signatures:
        raise UsageError(
            f"The model has no signature {name!r}; its signatures are: {listed}.",
            hint=did_you_mean(name, signatures, "--signature "),
        )
    return name, signatures[name]


def is_example_signature(signature: Signature) -> bool:
    """Returns whether `signature` is for classify or regress: its input is a serialized ``tf.Example``."""
    return signature.method in EXAMPLE_METHODS


def example_signature_error(name: str, signature: Signature, signatures: Mapping[str, Signature]) -> UsageError:
    """The error for a signature that predict is not for."""
    verb = EXAMPLE_METHODS[signature.method]
    others = [printable(other) for other, known in signatures.items() if not is_example_signature(known)]
    return UsageError(
        f"The signature {name!r} is for {verb}: its input is a serialized tf.Example, not a tensor of values.",
        hint=f"Ask a predict signature: --signature {others[0]}" if others else f"Ask it with tfserve {verb}.",
        details=describe_inputs(signature),
    )
