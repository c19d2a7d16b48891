"""Makes the SavedModel of a page that sends an image, and the image: ``python make_image_model.py DIRECTORY``."""

# mypy: disable-error-code="misc, untyped-decorator"
from __future__ import annotations

import sys
from pathlib import Path

import tensorflow as tf


class Brightness(tf.Module):
    """Tells how bright pictures are, from 0 to 1."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image")])
    def measure(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        def one(encoded: tf.Tensor) -> tf.Tensor:
            return tf.reduce_mean(tf.image.convert_image_dtype(tf.io.decode_jpeg(encoded), tf.float32))

        return {"brightness": tf.map_fn(one, image, fn_output_signature=tf.float32)}


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    model = Brightness()
    tf.saved_model.save(model, str(directory / "brightness" / "1"), signatures=model.measure)
    picture = tf.fill([32, 32, 3], tf.constant(191, tf.uint8))
    (directory / "cat.jpg").write_bytes(tf.io.encode_jpeg(picture).numpy())
