"""Makes the SavedModel of a small convolutional net, much of whose work does not depend on the size of a batch.

``python tests/benchmarks/make_conv_model.py DIRECTORY`` writes DIRECTORY/conv/1, and DIRECTORY/conv.json, the body of a
request with one image.
"""

# mypy: disable-error-code="misc, untyped-decorator"
from __future__ import annotations

import base64
import json
import random
import sys
from pathlib import Path

import tensorflow as tf

SIDE = 28
CLASSES = 10


class Conv(tf.Module):
    """Five convolutions that reduce a gray image to one pixel, and a classifier."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        generator = tf.random.Generator.from_seed(1)
        channels = 1
        self.kernels = []
        for width in widths:
            scale = (2 / (9 * channels)) ** 0.5
            self.kernels.append(tf.Variable(scale * generator.normal([3, 3, channels, width])))
            channels = width
        self.classifier = tf.Variable(generator.normal([channels, CLASSES]) * channels**-0.5)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="images")])
    def classify(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the probability of each class for gray images, given as bytes, row by row."""
        pixels = tf.io.decode_raw(images, tf.uint8)
        maps = tf.cast(tf.reshape(pixels, [-1, SIDE, SIDE, 1]), tf.float32) / 255.0
        for kernel in self.kernels:
            maps = tf.nn.relu(tf.nn.conv2d(maps, kernel, strides=2, padding="SAME"))
        return {"probabilities": tf.nn.softmax(tf.reduce_mean(maps, [1, 2]) @ self.classifier)}


if __name__ == "__main__":
    target = Path(sys.argv[1])
    conv = Conv((8, 16, 16, 32, 32))
    tf.saved_model.save(conv, str(target / "conv" / "1"), signatures=conv.classify)
    image = random.Random(1).randbytes(SIDE * SIDE)
    body = {"instances": [{"b64": base64.b64encode(image).decode()}]}
    (target / "conv.json").write_text(json.dumps(body))
