"""The labels that identify a server's container and describe an image: the only record of either."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from tfserve._version import __version__
from tfserve.models.saved_model import ModelDirectory
from tfserve.plan.mounts import ServerView
from tfserve.spec.serve import ModelSpec, ServeSpec

__all__ = [
    "BUILT",
    "CONFIG",
    "GPU",
    "MODELS",
    "NAME",
    "PACKAGED",
    "PREFIX",
    "SPEC",
    "VERSION",
    "container_name",
    "server_labels",
    "spec_json",
]

PREFIX = "tfserve."
NAME = "tfserve.name"
MODELS = "tfserve.models"
CONFIG = "tfserve.config"  # where the server sees the models.config that tfserve made for it
GPU = "tfserve.gpu"
SPEC = "tfserve.spec"
VERSION = "tfserve.version"
BUILT = "tfserve.built"  # of an image from source: its kind
PACKAGED = "tfserve.packaged"  # of an image, and so also of every container of it


def container_name(server: str) -> str:
    """The name of a server's container; the prefix makes room for servers of one letter, which Docker refuses."""
    return f"tfserve-{server}"


NO_FILES: Mapping[str, str] = {}


def spec_json(spec: ServeSpec, directories: Sequence[ModelDirectory], flag_files: Mapping[str, str] = NO_FILES) -> str:
    """What of a spec is not a default, as JSON; the values of its environment, which may be secrets, left out.

    Args:
        spec: what was asked for.
        directories: its models that are here, in its order.
        flag_files: the digests of the text files that its server flags name; a server reads them once, at its start.
    """
    paths = (directory.path for directory in directories)
    models = tuple(model if model.is_remote else replace(model, path=next(paths)) for model in spec.models)
    # Anybody on the engine can read a label.
    written = asdict(replace(spec, models=models, environment=dict.fromkeys(spec.environment, "")))
    written["models"] = [{key: value for key, value in model.items() if value} for model in written["models"]]
    default = asdict(ServeSpec(name=spec.name, models=(ModelSpec(Path(), spec.name),)))
    asked = {key: value for key, value in written.items() if key in ("name", "models") or value != default[key]}
    return json.dumps({**asked, **({"flag_files": dict(flag_files)} if flag_files else {})}, default=str)


def server_labels(
    spec: ServeSpec,
    models: Sequence[str],
    directories: Sequence[ModelDirectory],
    view: ServerView,
    flag_files: Mapping[str, str],
    *,
    gpu: bool,
) -> dict[str, str]:
    """The labels of one server; `flag_files` are the digests of the text files that its flags name."""
    return {
        NAME: spec.name,
        MODELS: json.dumps(models),
        GPU: json.dumps(gpu),
        SPEC: spec_json(spec, directories, flag_files),
        VERSION: __version__,
        **({CONFIG: view.config} if view.config else {}),
    }
