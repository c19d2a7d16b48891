"""Prediction: the signatures that can be used for it.

Source: ``VerifySignature`` in ``predict_util.cc`` of TensorFlow Serving.
"""

from __future__ import annotations

from tfserve.model_server.inference import classification, regression
from tfserve.model_server.runtime.servable import Signature
from tfserve.model_server.status import Code, StatusError

METHOD = "tensorflow/serving/predict"

_METHODS = (METHOD, classification.METHOD, regression.METHOD)


def check_predicts(signature: Signature) -> None:
    """Checks that the method name of a signature is one that TensorFlow Serving knows.

    Raises:
        StatusError: INTERNAL, it is not.
    """
    method = signature.definition.method_name
    if method not in _METHODS:
        known = ", ".join(_METHODS)
        raise StatusError(
            Code.INTERNAL, f"Expected prediction signature method_name to be one of {{{known}}}. Was: {method}"
        )
