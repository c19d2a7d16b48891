"""Classification: the signatures that support it, and the classes of each example from their outputs.

Source: ``classifier.cc`` of TensorFlow Serving.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tfserve.model_server.inference.examples import INPUT_ALIAS
from tfserve.model_server.inference.request import Outputs
from tfserve.model_server.runtime.servable import Signature
from tfserve.model_server.status import invalid_argument
from tfserve.protos.dtypes import Array
from tfserve.protos.saved_model_pb2 import DataType

METHOD = "tensorflow/serving/classify"

_CLASSES = "classes"
_SCORES = "scores"


class Classifications(NamedTuple):
    """The classes of each example.

    Attributes:
        labels: array of bytes, shape (examples, classes); empty bytes if the model returns no labels.
        scores: array of float32, of the same shape; 0 if the model returns no scores.
    """

    labels: Array
    scores: Array


def classification_outputs(signature: Signature, check_method: bool) -> tuple[str, ...]:
    """Returns the outputs of a signature that hold labels and scores.

    Args:
        signature: the signature that a request names.
        check_method: whether the method name of the signature must be `METHOD`.

    Raises:
        StatusError: INVALID_ARGUMENT, the signature cannot classify.
    """
    definition = signature.definition
    if check_method and definition.method_name != METHOD:
        raise invalid_argument(
            f"Expected classification signature method_name to be {METHOD}. Was: {definition.method_name}"
        )
    if len(signature.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise invalid_argument(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if INPUT_ALIAS not in signature.inputs:
        raise invalid_argument(f"No classification inputs found in SignatureDef: {definition}")
    outputs = tuple(alias for alias in signature.outputs if alias in (_CLASSES, _SCORES))
    if not outputs:
        raise invalid_argument(
            f'Expected classification signature outputs to contain at least one of "{_CLASSES}" or "{_SCORES}". '
            f"Signature was: {definition}"
        )
    return outputs


def read_classifications(signature: Signature, outputs: Outputs, examples: int) -> Classifications:
    """Returns the classes from the outputs of a run.

    Args:
        signature: the signature that ran.
        outputs: the outputs that `classification_outputs` returned.
        examples: how many examples it ran on.

    Raises:
        StatusError: INVALID_ARGUMENT, the outputs do not have the shape or dtype of a classifier's.
    """
    labels, scores = outputs.get(_CLASSES), outputs.get(_SCORES)
    for alias, dtype in ((_CLASSES, "DT_STRING"), (_SCORES, "DT_FLOAT")):
        array = outputs.get(alias)
        if array is None:
            continue
        if array.ndim != 2:
            shape = ",".join(map(str, array.shape))
            raise invalid_argument(f"Expected Tensor shape: [batch_size num_classes] but got [{shape}]")
        if array.dtype != (np.object_ if alias == _CLASSES else np.float32):
            got = DataType.Name(signature.definition.outputs[alias].dtype)
            raise invalid_argument(f"Expected {alias} Tensor of {dtype}. Got: {got}")
        if len(array) != examples:
            raise invalid_argument(f"Expected {alias} output batch size of {examples}. Got: {len(array)}")
    if labels is not None and scores is not None and labels.shape != scores.shape:
        raise invalid_argument(
            f"Tensors class and score should match in dim_size(1). Got {labels.shape[1]} vs. {scores.shape[1]}"
        )
    if labels is None:
        labels = np.full(outputs[_SCORES].shape, b"", np.object_)
    return Classifications(labels, np.zeros(labels.shape, np.float32) if scores is None else scores)
