"""Makes the SavedModels that these tests serve. Run as a program, once: importing TensorFlow takes seconds."""

# mypy: disable-error-code="misc, untyped-decorator"
from __future__ import annotations

import sys
from pathlib import Path

import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import saved_model_pb2

ECHO_TYPES = (
    *("float32", "float64", "float16", "bfloat16"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("bool", "string", "complex64"),
)


class Zoo(tf.Module):
    """Signatures for what half_plus_two does not do."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.int32, name="number"),
            tf.TensorSpec([None, 2], tf.string, name="words"),
        ]
    )
    def pair(self, number: tf.Tensor, words: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            "double": tf.cast(number, tf.float32) * 2.0,
            "joined": tf.strings.reduce_join(words, axis=1),
            "words_bytes": words,
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def total(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"sum": tf.reduce_sum(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def uneven(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"all": x, "first": x[:1]}

    @tf.function(input_signature=[tf.TensorSpec([2], tf.float32, name="x")])
    def two(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x + tf.constant([1.0, 2.0])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")], jit_compile=True)
    def compiled(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x * x + 1.0}

    @tf.function(input_signature=[tf.TensorSpec([1], tf.float64, name="seconds")])
    def wait(self, seconds: tf.Tensor) -> dict[str, tf.Tensor]:
        end = tf.timestamp() + seconds[0]
        turns = tf.constant(0)
        while tf.timestamp() < end:
            turns += 1
        tf.debugging.Assert(seconds[0] != 0.125, ["an eighth of a second is refused, once it is over"])
        return {"seconds": seconds}

    @tf.function(
        input_signature=[
            tf.TensorSpec([], tf.string, name="started"),
            tf.TensorSpec([], tf.string, name="go"),
        ]
    )
    def hold(self, started: tf.Tensor, go: tf.Tensor) -> dict[str, tf.Tensor]:
        """Makes the file `started`, then runs until somebody makes the file `go`."""
        tf.io.write_file(started, "")
        turns = tf.constant(0)
        while tf.size(tf.io.matching_files(go)) == 0:
            turns += 1
        return {"turns": turns}


def echo(dtype: str) -> tf.types.experimental.PolymorphicFunction:
    """Returns a function that gives back a tensor of any shape."""

    @tf.function(input_signature=[tf.TensorSpec(None, tf.as_dtype(dtype), name="x")])
    def give_back(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.identity(x)}

    return give_back


def make_zoo(directory: Path) -> None:
    zoo = Zoo()
    signatures = {name: getattr(zoo, name) for name in ("pair", "total", "uneven", "two", "compiled", "wait", "hold")}
    echoes = {f"echo_{dtype}": echo(dtype) for dtype in ECHO_TYPES}
    for name, function in echoes.items():
        setattr(zoo, name, function)
    tf.saved_model.save(zoo, str(directory), signatures | echoes | {"serving_default": zoo.two})


class Constant(tf.Module):
    """Answers its version, whatever it is asked."""

    def __init__(self, version: int) -> None:
        self.version = tf.Variable(float(version))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def answer(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.zeros_like(x) + self.version}


def rewrite_as_text(directory: Path) -> None:
    """Turns the ``saved_model.pb`` of a SavedModel into a ``saved_model.pbtxt``."""
    binary = directory / "saved_model.pb"
    saved_model = saved_model_pb2.SavedModel.FromString(binary.read_bytes())
    (directory / "saved_model.pbtxt").write_text(text_format.MessageToString(saved_model))
    binary.unlink()


if __name__ == "__main__":
    target = Path(sys.argv[1])
    make_zoo(target / "zoo" / "1")
    for number in (1, 2):
        constant = Constant(number)
        tf.saved_model.save(constant, str(target / "constant" / str(number)), signatures=constant.answer)
    tf.saved_model.save(constant, str(target / "text" / "2"), signatures=constant.answer)
    rewrite_as_text(target / "text" / "2")
