"""half_plus_two as a service of BentoML, which runs this file in an environment of its own.

As BentoML's documentation has it: load the SavedModel in the constructor, run a signature in an API method.
"""

# mypy: ignore-errors
from __future__ import annotations

import os

import bentoml
import tensorflow as tf


@bentoml.service(workers=1)
class HalfPlusTwo:
    def __init__(self) -> None:
        self.model = tf.saved_model.load(os.environ["HALF_PLUS_TWO"])
        self.signature = self.model.signatures["serving_default"]

    @bentoml.api
    def predict(self, instances: list[float]) -> list[float]:
        return self.signature(x=tf.constant(instances, tf.float32))["y"].numpy().tolist()
