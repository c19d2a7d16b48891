"""Makes the SavedModels that benchmarks serve, rows/1 and slow/1, in the directory given as the argument."""

# mypy: disable-error-code="misc, untyped-decorator"
from __future__ import annotations

import sys
from pathlib import Path

import tensorflow as tf

COLUMNS = 100
CLASSES = 10
SLOW_SECONDS = 0.05


class Rows(tf.Module):
    """Rows of 100 floats: classified by default, or returned with a small change."""

    def __init__(self) -> None:
        self.weights = tf.Variable(tf.random.Generator.from_seed(1).normal([COLUMNS, CLASSES]))

    @tf.function(input_signature=[tf.TensorSpec([None, COLUMNS], tf.float32, name="x")])
    def classes(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": tf.nn.softmax(x @ self.weights)}

    @tf.function(input_signature=[tf.TensorSpec([None, COLUMNS], tf.float32, name="x")])
    def same(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x * 0.5 + 2.0}


class Slow(tf.Module):
    """Uses 50 ms of a processor for each request."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def answer(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        end = tf.timestamp() + SLOW_SECONDS
        total = tf.zeros([])
        while tf.timestamp() < end:
            total += tf.reduce_sum(tf.random.uniform([10_000]))
        return {"y": x + 0.0 * total}


if __name__ == "__main__":
    target = Path(sys.argv[1])
    rows = Rows()
    tf.saved_model.save(rows, str(target / "rows" / "1"), {"serving_default": rows.classes, "same": rows.same})
    slow = Slow()
    tf.saved_model.save(slow, str(target / "slow" / "1"), slow.answer)
