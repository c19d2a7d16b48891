"""The examples of a classify or regress request, from its message to the input of a signature."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfserve.model_server.inference.request import Call
from tfserve.model_server.runtime.servable import DEFAULT_SIGNATURE, Servable, Signature
from tfserve.model_server.status import invalid_argument
from tfserve.protos.apis_pb2 import Input
from tfserve.protos.dtypes import DT_STRING, dtype_name

INPUT_ALIAS = "inputs"
"""The only input of a signature that takes examples."""


def serialized_examples(message: Input) -> list[bytes]:
    """Returns the serialized ``tf.train.Example`` messages of a request.

    The context is prepended to each example: concatenated serialized messages are merged when they are parsed.

    Raises:
        StatusError: INVALID_ARGUMENT, the request has no examples.
    """
    if message.HasField("example_list_with_context"):
        context = message.example_list_with_context.context
        examples = [context + example for example in message.example_list_with_context.examples]
    else:
        examples = list(message.example_list.examples)
    if not examples:
        raise invalid_argument("Input is empty.")
    return examples


def context_bytes(message: Input) -> int:
    """Returns the size of all copies of the context that `serialized_examples` makes."""
    if not message.HasField("example_list_with_context"):
        return 0
    return len(message.example_list_with_context.examples) * len(message.example_list_with_context.context)


def find_signature(servable: Servable, name: str) -> Signature:
    """Returns the signature that a classify or regress request names; an empty name means the default signature.

    Raises:
        StatusError: INVALID_ARGUMENT, there is no such signature.
    """
    found = servable.signatures.get(name or DEFAULT_SIGNATURE)
    if found is None:
        raise invalid_argument(f"No signature was found with the name: {name or DEFAULT_SIGNATURE}")
    return found


def examples_call(name: str, signature: Signature, examples: Sequence[bytes], outputs: tuple[str, ...]) -> Call:
    """Returns the run of a signature on examples.

    Args:
        name: the signature's name; empty for the default one.
        signature: the signature, whose only input is ``inputs``.
        examples: serialized ``tf.train.Example`` messages.
        outputs: the outputs to return.

    Raises:
        StatusError: INVALID_ARGUMENT, the input is not a string tensor.
    """
    dtype = signature.inputs[INPUT_ALIAS]
    if dtype != DT_STRING:
        raise invalid_argument(f"Expects arg[0] to be {dtype_name(dtype)} but string is provided")
    array = np.empty(len(examples), np.object_)
    array[:] = examples
    return Call(name, {INPUT_ALIAS: array}, outputs)
