"""Makes the SavedModels of TensorFlow Serving's guide, ``half_plus_two`` and the one for a GPU: ``y = 0.5 * x + 2``.

The signatures and method names are those of the model in TensorFlow Serving's test data that the guide uses
(``saved_model_half_plus_two.py``), so every request in the guide gets the response in the guide:

==================  ===================================  ==============================  =========================
signature           inputs                               outputs                         method
==================  ===================================  ==============================  =========================
serving_default     x: float (-1,)                       y: float (-1,), 0.5 x + 2       predict
regress_x_to_y      inputs: tf.Example, string           outputs: float, 0.5 x + 2       regress
regress_x_to_y2     inputs: tf.Example, string           outputs: float, 0.5 x + 3       regress
regress_x2_to_y3    inputs: float (-1, 1)                outputs: float, 0.5 x2 + 3      regress
classify_x_to_y     inputs: tf.Example, string           scores: float, 0.5 x + 2        classify
==================  ===================================  ==============================  =========================

One shape differs: in the original, the signature declares `x` as (-1, 1), but the guide sends and receives three plain
numbers. Here, the signature has the shape that the guide uses.

``half_plus_two_gpu`` is the same model for a GPU. As in the original, its variables and all operations on them are
pinned to ``/device:GPU:0``, so it cannot be served unless TensorFlow finds a GPU.

``half_plus_n`` has the versions 2 and 3. Version N computes ``0.5 * x + N``, so a response shows which version
computed it.

Usage: ``python examples/make_half_plus_two.py [DIRECTORY]`` makes all of them in `DIRECTORY`, by default the directory
of this file. The same version of TensorFlow always makes the same bytes.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

v1 = tf.compat.v1
signatures = v1.saved_model.signature_constants


def make(base_path: Path, version: int = 1, *, plus: int = 2, device: str | None = None) -> Path:
    """Writes ``y = 0.5 * x + plus`` as `version` under `base_path`, and replaces the version if it exists.

    Args:
        base_path: the directory of the model.
        version: the version's number.
        plus: the number to add, which is 2 in the guide.
        device: a device that the model needs to be served. It is not needed to make the model.

    Returns:
        The directory of the version.
    """
    directory = base_path / str(version)
    shutil.rmtree(directory, ignore_errors=True)
    elsewhere = v1.ConfigProto(allow_soft_placement=True)  # does not need the device here
    with tf.Graph().as_default(), v1.Session(config=elsewhere) as session:
        with tf.device(device):
            a = v1.Variable(0.5, name="a", use_resource=False)
            b = v1.Variable(float(plus), name="b", use_resource=False)
            c = v1.Variable(3.0, name="c", use_resource=False)
        examples = v1.placeholder(tf.string, [None], name="tf_example")
        features = v1.parse_example(
            examples,
            {"x": tf.io.FixedLenFeature([1], tf.float32), "x2": tf.io.FixedLenFeature([1], tf.float32, [0.0])},
        )
        x = v1.placeholder(tf.float32, [None], name="x")
        x2 = tf.identity(features["x2"], name="x2")
        with tf.device(device):
            y = tf.identity(a * x + b, name="y")
            y_of_example = tf.identity(a * features["x"] + b, name="y_of_example")
            y2 = tf.identity(a * features["x"] + c, name="y2")
            y3 = tf.identity(a * x2 + c, name="y3")
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(directory))
        builder.add_meta_graph_and_variables(
            session,
            [v1.saved_model.tag_constants.SERVING],
            signature_def_map={
                signatures.DEFAULT_SERVING_SIGNATURE_DEF_KEY: _signature(
                    {"x": x}, {"y": y}, signatures.PREDICT_METHOD_NAME
                ),
                "regress_x_to_y": _regression(examples, y_of_example),
                "regress_x_to_y2": _regression(examples, y2),
                "regress_x2_to_y3": _regression(x2, y3),
                "classify_x_to_y": _signature(
                    {signatures.CLASSIFY_INPUTS: examples},
                    {signatures.CLASSIFY_OUTPUT_SCORES: y_of_example},
                    signatures.CLASSIFY_METHOD_NAME,
                ),
            },
        )
        builder.save()
    _sort_maps(directory / "saved_model.pb")
    return directory


def _regression(inputs: tf.Tensor, outputs: tf.Tensor) -> object:
    return _signature(
        {signatures.REGRESS_INPUTS: inputs}, {signatures.REGRESS_OUTPUTS: outputs}, signatures.REGRESS_METHOD_NAME
    )


def _signature(inputs: dict[str, tf.Tensor], outputs: dict[str, tf.Tensor], method_name: str) -> object:
    build_tensor_info = v1.saved_model.build_tensor_info
    return v1.saved_model.build_signature_def(
        {name: build_tensor_info(tensor) for name, tensor in inputs.items()},
        {name: build_tensor_info(tensor) for name, tensor in outputs.items()},
        method_name,
    )


def _sort_maps(path: Path) -> None:
    """Rewrites the file with sorted maps, as protobuf does not define their order otherwise."""
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    path.write_bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    print(make(directory / "half_plus_two"))
    print(make(directory / "half_plus_two_gpu", device="/device:GPU:0"))
    for n in (2, 3):
        print(make(directory / "half_plus_n", n, plus=n))
