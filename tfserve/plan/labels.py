"""The labels that identify a server's container and describe an image: the only record of either."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tfserve.protos.without_gc import without_gc

__all__ = [
    "BUILT",
    "CONFIG",
    "GPU",
    "MAX_NAME",
    "MODELS",
    "NAME",
    "PACKAGED",
    "PREFIX",
    "SPEC",
    "VERSION",
    "DamagedLabelError",
    "container_name",
    "read_label",
    "read_names",
    "removed_at_stop",
    "with_model",
]

PREFIX = "tfserve."
NAME = "tfserve.name"
MODELS = "tfserve.models"
CONFIG = "tfserve.config"  # where the server finds the models.config that tfserve wrote for it
GPU = "tfserve.gpu"
SPEC = "tfserve.spec"
VERSION = "tfserve.version"
BUILT = "tfserve.built"  # on an image that was built from source: its kind
MAX_NAME = 1000  # characters
_MAX_CHARACTERS = 2**20
_MAX_DIGITS = 30
PACKAGED = "tfserve.packaged"  # on an image, and therefore on every container of it


def container_name(server: str) -> str:
    """Returns the name of a server's container. Docker rejects names of one letter, which the prefix makes possible."""
    return f"tfserve-{server}"


class DamagedLabelError(ValueError):
    """A label is not what tfserve writes; every user of an engine can write any label."""


def read_label(text: str) -> dict[str, Any]:
    """Returns the JSON object in a label.

    Raises:
        DamagedLabelError: the label is not such an object in the form that tfserve writes it, or is too large.
    """
    written = _read(text)
    if not isinstance(written, dict):
        raise DamagedLabelError("it is not a JSON object")
    return written


def read_names(text: str) -> tuple[str, ...]:
    """Returns the JSON list of names in a label.

    Raises:
        DamagedLabelError: the label is not such a list in the form that tfserve writes it, or is too large.
    """
    names = _read(text)
    if not isinstance(names, list) or not all(isinstance(name, str) and len(name) <= MAX_NAME for name in names):
        raise DamagedLabelError("it is not a list of names")
    return tuple(names)


def _read(text: str) -> Any:
    if len(text) > _MAX_CHARACTERS:
        raise DamagedLabelError(f"it has {len(text):,} characters")
    try:
        with without_gc():
            return json.loads(
                text, parse_int=_integer, parse_constant=_refuse_constant, object_pairs_hook=_with_different_keys
            )
    except RecursionError:
        raise DamagedLabelError("it is nested too deeply") from None
    except ValueError as error:
        raise DamagedLabelError(f"it is not valid JSON ({error})") from None


def removed_at_stop(spec: str) -> bool:
    """Whether the spec in a label has ``remove``. `tfserve.plan.spec_label` reads all of it, but loads many modules."""
    try:
        return read_label(spec).get("remove") is True
    except DamagedLabelError:
        return False


def with_model(spec: str, name: str, path: Path) -> str:
    """Adds a model to the spec in a label; how it is served is written in the server's ``models.config``.

    Raises:
        DamagedLabelError: the label is damaged.
    """
    written = read_label(spec)
    models = written.get("models", [])
    if not isinstance(models, list) or not all(isinstance(model, dict) for model in models):
        raise DamagedLabelError("its models are not a list of objects")
    others = [model for model in models if model.get("name") != name]
    return json.dumps({**written, "models": [*others, {"name": name, "path": str(path)}]})


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number has {len(digits):,} digits")
    return int(digits)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number of JSON")


def _with_different_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found
