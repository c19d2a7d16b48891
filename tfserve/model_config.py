"""The file of ``--model_config_file``: which models a server has, in protobuf's text format.

Source: ``model_server_config.proto`` of TensorFlow Serving.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["model_config"]


def model_config(root: str, names: Iterable[str]) -> str:
    """Returns the configuration of the models `names`, each in the directory of its name in `root`.

    A name needs no quoting: it is letters, digits, ``_``, ``.`` and ``-``.
    """
    configs = (
        f'  config {{\n    name: "{name}"\n    base_path: "{root}/{name}"\n    model_platform: "tensorflow"\n  }}\n'
        for name in names
    )
    return f"model_config_list {{\n{''.join(configs)}}}\n"
