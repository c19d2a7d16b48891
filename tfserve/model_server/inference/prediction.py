"""Prediction: which signatures may be asked for it.

Source: ``VerifySignature`` in ``predict_util.cc`` of TensorFlow Serving.
"""

from __future__ import annotations

from tfserve.model_server.inference import classification, regression
from tfserve.model_server.runtime.servable import Signature
from tfserve.model_server.status import Code, StatusError

METHOD = "tensorflow/serving/predict"

_METHODS = (METHOD, classification.METHOD, regression.METHOD)


def check_predicts(signature: Signature) -> None:
    """Raises unless the method that a signature names is one of those that TensorFlow Serving knows.

    Raises:
        StatusError: INTERNAL, it is another one.
    """
    method = signature.definition.method_name
    if method not in _METHODS:
        known = ", ".join(_METHODS)
        raise StatusError(
            Code.INTERNAL, f"Expected prediction signature method_name to be one of {{{known}}}. Was: {method}"
        )
