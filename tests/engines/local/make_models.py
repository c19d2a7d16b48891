"""Makes a SavedModel that uses files as a hostile one would; runs as a program, as importing TensorFlow takes long."""

# mypy: disable-error-code="misc, untyped-decorator"
from __future__ import annotations

import sys
from pathlib import Path

import tensorflow as tf


class Files(tf.Module):
    """Reads, writes and lists the files that its inputs name."""

    def __init__(self, asset: Path) -> None:
        self.asset = tf.saved_model.Asset(str(asset))

    @tf.function(input_signature=[tf.TensorSpec([], tf.string, name="path")])
    def read(self, path: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"content": tf.io.read_file(path)}

    @tf.function(
        input_signature=[tf.TensorSpec([], tf.string, name="path"), tf.TensorSpec([], tf.string, name="content")]
    )
    def write(self, path: tf.Tensor, content: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([tf.io.write_file(path, content)]):
            return {"content": tf.io.read_file(path)}

    @tf.function(input_signature=[tf.TensorSpec([], tf.string, name="pattern")])
    def match(self, pattern: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"paths": tf.io.matching_files(pattern)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def own(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the content of its own asset, for any input."""
        return {"content": tf.fill(tf.shape(x), tf.io.read_file(self.asset))}


if __name__ == "__main__":
    target = Path(sys.argv[1])
    asset = target / "asset.txt"
    asset.write_text("an asset")
    files = Files(asset)
    signatures = {"serving_default": files.own, "read": files.read, "write": files.write, "match": files.match}
    tf.saved_model.save(files, str(target / "files" / "1"), signatures)
    asset.unlink()
