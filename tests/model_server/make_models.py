"""Makes the SavedModels that these tests serve; runs as a program, once, as importing TensorFlow takes seconds."""

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
    """Signatures unlike those of half_plus_two."""

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
        """Makes the file `started`, then runs until the file `go` exists."""
        tf.io.write_file(started, "")
        turns = tf.constant(0)
        while tf.size(tf.io.matching_files(go)) == 0:
            turns += 1
        return {"turns": turns}


def echo(dtype: str) -> tf.types.experimental.PolymorphicFunction:
    """Returns a function that returns its input, a tensor of any shape."""

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


def add_default(directory: Path, signature: str, alias: str, value: object) -> None:
    """Adds a default value for an input of a signature, which `tf.saved_model.save` cannot do."""
    file = directory / "saved_model.pb"
    saved_model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    defaults = saved_model.meta_graphs[0].signature_def[signature].defaults
    defaults[alias].CopyFrom(tf.make_tensor_proto(value))
    file.write_bytes(saved_model.SerializeToString())


class Batch(tf.Module):
    """Signatures that return the size of the batch in which they run."""

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, name="x")])
    def measure(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        rows, width = tf.shape(x)[0], tf.shape(x)[1]
        negative = ["no negative numbers"]
        tf.debugging.Assert(tf.reduce_all(x >= 0), negative)
        return {"x": x, "rows": tf.fill([rows], rows), "width": tf.fill([rows], width)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="started"),
            tf.TensorSpec([None], tf.string, name="go"),
        ]
    )
    def hold(self, started: tf.Tensor, go: tf.Tensor) -> dict[str, tf.Tensor]:
        """Makes the first file of `started`, then runs until the first file of `go` exists."""
        tf.io.write_file(started[0], "")
        turns = tf.constant(0)
        while tf.size(tf.io.matching_files(go[0])) == 0:
            turns += 1
        return {"turns": tf.fill([tf.size(go)], turns)}


class Lite(tf.Module):
    """A model whose SavedModel and ``model.tflite`` differ, which shows which of them is served."""

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    def triple(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": 3.0 * x}

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32), tf.TensorSpec([None], tf.string)])
    def double(self, x: tf.Tensor, words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return 2.0 * x, tf.reshape(words, [-1, 1])


def make_lite(directory: Path) -> None:
    lite = Lite()
    tf.saved_model.save(lite, str(directory), signatures=lite.triple)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([lite.double.get_concrete_function()], lite)
    (directory / "model.tflite").write_bytes(converter.convert())


class Constant(tf.Module):
    """Returns its version for any input."""

    def __init__(self, version: int) -> None:
        self.version = tf.Variable(float(version))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def answer(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.zeros_like(x) + self.version}


class Lookup(tf.Module):
    """Converts words to numbers with a table whose words are in an asset."""

    def __init__(self, words: Path) -> None:
        self.words = tf.saved_model.Asset(str(words))
        lines = tf.lookup.TextFileInitializer(
            self.words, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        self.table = tf.lookup.StaticHashTable(lines, default_value=-1)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="word")])
    def number(self, word: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"number": self.table.lookup(word)}


def make_tf1(directory: Path, words: Path) -> None:
    """A SavedModel as TensorFlow 1 makes it: a variable, a table, two signatures, and another graph for tag ``twice``.

    Its default signature adds the variable, 10, to numbers; ``find`` looks words up.
    """
    v1 = tf.compat.v1
    builder = v1.saved_model.Builder(str(directory))
    for tags, factor in ((["serve"], 1.0), (["serve", "twice"], 2.0)):
        with v1.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float32, [None], "x")
            ten = v1.get_variable("ten", initializer=10.0)
            y = x * factor + ten
            word = v1.placeholder(tf.string, [None], "word")
            lines = v1.lookup.TextFileInitializer(
                str(words), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
            )
            number = v1.lookup.StaticHashTable(lines, -1).lookup(word)
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])
            build = v1.saved_model.predict_signature_def
            signatures = {
                "serving_default": build({"x": x}, {"y": y}),
                "find": build({"word": word}, {"number": number}),
            }
            rest = {
                "signature_def_map": signatures,
                "assets_collection": v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
                "main_op": v1.tables_initializer(),
            }
            if factor == 1.0:
                builder.add_meta_graph_and_variables(session, tags, **rest)
            else:
                builder.add_meta_graph(tags, **rest)
    builder.save()


def make_examples(directory: Path) -> None:
    """Makes a model with TensorFlow 1's API, whose signatures have the method names of classify and regress."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        inputs = v1.placeholder(tf.string, [None], name="examples")
        features = {
            "x": tf.io.FixedLenFeature([1], tf.float32),
            "word": tf.io.FixedLenFeature([1], tf.string, b"none"),
            "count": tf.io.FixedLenFeature([1], tf.int64, 0),
        }
        parsed = tf.io.parse_example(inputs, features)
        x, word, count = parsed["x"], parsed["word"], parsed["count"]
        classes = tf.concat([word, tf.strings.as_string(count)], axis=1)
        scores = tf.concat([x, tf.cast(count, tf.float32)], axis=1)
        classify, regress = "tensorflow/serving/classify", "tensorflow/serving/regress"
        signatures = {
            "serving_default": (classify, {"classes": classes, "scores": scores}),
            "only_scores": (classify, {"scores": scores}),
            "only_classes": (classify, {"classes": classes}),
            "other_method": ("other", {"classes": classes, "scores": scores}),
            "nothing": (classify, {"more": scores}),
            "three": (classify, {"classes": classes, "scores": scores, "more": scores}),
            "flat_scores": (classify, {"scores": scores[:, 0]}),
            "double_scores": (classify, {"scores": tf.cast(scores, tf.float64)}),
            "first_scores": (classify, {"scores": scores[:1]}),
            "uneven": (classify, {"classes": classes, "scores": x}),
            "regress": (regress, {"outputs": x[:, 0] * 2.0}),
            "regress_column": (regress, {"outputs": x * 2.0}),
            "regress_wide": (regress, {"outputs": scores}),
            "regress_first": (regress, {"outputs": x[:1, 0]}),
            "regress_count": (regress, {"outputs": count}),
            "regress_other": (regress, {"y": x}),
        }
        definitions = {
            name: v1.saved_model.build_signature_def(
                {"inputs": v1.saved_model.build_tensor_info(inputs)},
                {alias: v1.saved_model.build_tensor_info(tensor) for alias, tensor in outputs.items()},
                method,
            )
            for name, (method, outputs) in signatures.items()
        }
        builder = v1.saved_model.Builder(str(directory))
        builder.add_meta_graph_and_variables(session, ["serve"], definitions)
        builder.save()


def rewrite_as_text(directory: Path) -> None:
    """Converts the ``saved_model.pb`` of a SavedModel to a ``saved_model.pbtxt``."""
    binary = directory / "saved_model.pb"
    saved_model = saved_model_pb2.SavedModel.FromString(binary.read_bytes())
    (directory / "saved_model.pbtxt").write_text(text_format.MessageToString(saved_model))
    binary.unlink()


if __name__ == "__main__":
    target = Path(sys.argv[1])
    make_zoo(target / "zoo" / "1")
    add_default(target / "zoo" / "1", "pair", "number", [7])
    make_examples(target / "examples" / "1")
    make_lite(target / "lite" / "1")
    batch = Batch()
    signatures = {"serving_default": batch.measure, "hold": batch.hold}
    tf.saved_model.save(batch, str(target / "batch" / "1"), signatures)
    for number in (1, 2):
        constant = Constant(number)
        tf.saved_model.save(constant, str(target / "constant" / str(number)), signatures=constant.answer)
    tf.saved_model.save(constant, str(target / "text" / "2"), signatures=constant.answer)
    vocabulary = target / "words.txt"
    vocabulary.write_text("null\none\ntwo\n")
    lookup = Lookup(vocabulary)
    tf.saved_model.save(lookup, str(target / "lookup" / "1"), signatures=lookup.number)
    make_tf1(target / "tf1" / "1", vocabulary)
    vocabulary.unlink()  # the SavedModels have their own copies
    rewrite_as_text(target / "text" / "2")
