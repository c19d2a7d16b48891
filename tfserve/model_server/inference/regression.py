"""Regression: the signatures that support it, and the value of each example from their output.

Source: ``regressor.cc`` of TensorFlow Serving.
"""

from __future__ import annotations

import numpy as np

from tfserve.model_server.inference.examples import INPUT_ALIAS
from tfserve.model_server.inference.request import Outputs
from tfserve.model_server.runtime.servable import Signature
from tfserve.model_server.status import invalid_argument
from tfserve.protos.dtypes import Array
from tfserve.protos.saved_model_pb2 import DataType

METHOD = "tensorflow/serving/regress"

_OUTPUT = "outputs"


def regression_outputs(signature: Signature, check_method: bool) -> tuple[str, ...]:
    """Returns the output of a signature that holds the values.

    Args:
        signature: the signature that a request names.
        check_method: whether the method name of the signature must be `METHOD`.

    Raises:
        StatusError: INVALID_ARGUMENT, the signature is not a regression.
    """
    definition = signature.definition
    if check_method and definition.method_name != METHOD:
        raise invalid_argument(
            f"Expected regression signature method_name to be {METHOD}. Was: {definition.method_name}"
        )
    if len(signature.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        raise invalid_argument("Expected one output Tensor.")
    if INPUT_ALIAS not in signature.inputs:
        raise invalid_argument(f"No regression inputs found in SignatureDef: {definition}")
    if _OUTPUT not in signature.outputs:
        raise invalid_argument(f"No regression outputs found in SignatureDef: {definition}")
    return signature.outputs


def read_regressions(signature: Signature, outputs: Outputs, examples: int) -> Array:
    """Returns the value of each example, an array of float32 of shape (examples,).

    Args:
        signature: the signature that ran.
        outputs: the output that `regression_outputs` returned.
        examples: how many examples it ran on.

    Raises:
        StatusError: INVALID_ARGUMENT, the output does not have the shape or dtype of a regressor's.
    """
    array = outputs[_OUTPUT]
    if array.ndim != 1 and not (array.ndim == 2 and array.shape[1] == 1):
        shape = ",".join(map(str, array.shape))
        raise invalid_argument(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [{shape}]"
        )
    if len(array) != examples:
        raise invalid_argument(f"Input batch size did not match output batch size: {examples} vs. {len(array)}")
    if array.dtype != np.float32:
        got = DataType.Name(signature.definition.outputs[_OUTPUT].dtype)
        raise invalid_argument(f"Expected output Tensor of DT_FLOAT.  Got: {got}")
    return array.reshape(-1)
