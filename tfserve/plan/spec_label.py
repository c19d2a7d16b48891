"""The label that holds the spec of a server, from which ``tfserve up`` decides whether to recreate the server."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from tfserve._version import __version__
from tfserve.errors import TfserveError
from tfserve.models.saved_model import ModelDirectory
from tfserve.models.url import Url, parse_source
from tfserve.plan import labels
from tfserve.plan.mounts import ServerView
from tfserve.spec.gpus import GpuRequest
from tfserve.spec.model import ModelSpec
from tfserve.spec.port_request import PortRequest
from tfserve.spec.serve import ServeSpec, changed_fields
from tfserve.spec.versions import VersionPolicy

__all__ = ["NO_FILES", "flag_files_from_label", "recorded_spec", "server_labels", "spec_from_label", "spec_json"]

_NOT_TEXT = re.compile("[\0\ud800-\udc7f\udd00-\udfff]")  # cannot be in the name of a file, or an argument
NO_FILES: Mapping[str, str] = {}


def recorded_spec(spec: ServeSpec, directories: Sequence[ModelDirectory]) -> ServeSpec:
    """Returns the spec that a label records: with the directories of its models, but no values of its environment.

    Every user of the engine can read the label, and the environment may contain secrets.
    """
    paths = (Url(found.address) if found.address else found.path for found in directories)
    models = tuple(model if model.is_remote else replace(model, path=next(paths)) for model in spec.models)
    return replace(spec, models=models, environment=dict.fromkeys(spec.environment, ""))


def spec_json(spec: ServeSpec, directories: Sequence[ModelDirectory], flag_files: Mapping[str, str] = NO_FILES) -> str:
    """Writes the fields of a `recorded_spec` that are not defaults as JSON.

    Args:
        spec: the server.
        directories: the models of `spec` that are on this machine, in its order.
        flag_files: the digests of the text files that the server flags name; a server reads them only when it starts.
    """
    recorded = recorded_spec(spec, directories)
    written = asdict(recorded)
    written["models"] = [{key: value for key, value in model.items() if value} for model in written["models"]]
    names = {"name", "models"} | changed_fields(recorded)
    kept = {name: value for name, value in written.items() if name in names}
    return json.dumps({**kept, **({"flag_files": dict(flag_files)} if flag_files else {})}, default=str)


def spec_from_label(text: str) -> ServeSpec | None:
    """Reads the `recorded_spec` that `spec_json` of this or another version wrote; unknown fields are ignored.

    Returns:
        The spec; None if the label is damaged, or if this version does not accept its values.
    """
    known = {field.name for field in fields(ServeSpec)}
    try:
        written = labels.read_label(text)
        spec = ServeSpec(**{key: _READERS.get(key, _same)(value) for key, value in written.items() if key in known})
        return spec if _fits(spec, ServeSpec) else None
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError, TfserveError):
        return None


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value in a label has the type that a field is annotated with."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, argument) for argument in arguments)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(item, arguments[0]) for item in value)
    if origin is Mapping:
        keys, values = arguments
        return isinstance(value, dict) and all(_fits(key, keys) and _fits(item, values) for key, item in value.items())
    if is_dataclass(hint):
        known = isinstance(value, cast("type[Any]", hint))
        return known and all(
            _fits(getattr(value, name), kind) for name, kind in _annotations(cast("Hashable", hint)).items()
        )
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in (str, Path):
        return isinstance(value, hint) and not _NOT_TEXT.search(str(value))
    return not isinstance(hint, type) or isinstance(value, hint)


@functools.cache
def _annotations(kind: Hashable) -> dict[str, Any]:
    return get_type_hints(cast("type[Any]", kind), localns={"BatchingValue": object})


def flag_files_from_label(text: str) -> Mapping[str, str]:
    """Reads the digests of text files that `spec_json` wrote; empty if it has none, or if the label is damaged."""
    try:
        found = labels.read_label(text).get("flag_files", {})
    except labels.DamagedLabelError:
        return {}
    if not isinstance(found, dict) or not all(isinstance(digest, str) for digest in found.values()):
        return {}
    return found


def _same(value: Any) -> Any:
    return value


def _port(value: Mapping[str, Any]) -> PortRequest:
    return PortRequest(value["number"], value["explicit"])


def _models(value: Sequence[Mapping[str, Any]]) -> tuple[ModelSpec, ...]:
    return tuple(
        ModelSpec(
            parse_source(model["path"]),
            model["name"],
            _versions(model["versions"]) if "versions" in model else None,
            model.get("labels", {}),
            model.get("sha256"),
        )
        for model in value
    )


def _versions(value: Mapping[str, Any]) -> VersionPolicy:
    return VersionPolicy(value["latest"], tuple(value["specific"]))


def _batching(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(setting) if isinstance(setting, list) else setting for name, setting in value.items()}


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "batching": _batching,
    "config": Path,
    "gpus": lambda value: GpuRequest(value["count"], tuple(value["devices"])),
    "grpc_port": _port,
    "models": _models,
    "rest_port": _port,
    "server_flags": tuple,
}
"""Readers of the fields whose types JSON does not preserve."""


def server_labels(
    spec: ServeSpec,
    models: Sequence[str],
    directories: Sequence[ModelDirectory],
    view: ServerView,
    flag_files: Mapping[str, str],
    *,
    gpu: bool,
) -> dict[str, str]:
    """Returns the labels of a server; `flag_files` contains the digests of the text files that its flags name."""
    return {
        labels.NAME: spec.name,
        labels.MODELS: json.dumps(models),
        labels.GPU: json.dumps(gpu),
        labels.SPEC: spec_json(spec, directories, flag_files),
        labels.VERSION: __version__,
        **({labels.CONFIG: view.config} if view.config else {}),
    }
