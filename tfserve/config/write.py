"""Writes YAML files that describe servers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tfserve.config.paths import normalized
from tfserve.config.read import ConfiguredServer
from tfserve.models.url import Url
from tfserve.spec.fields import FIELDS
from tfserve.spec.model import ModelSpec
from tfserve.spec.serve import changed_fields

__all__ = ["servers_data", "write_servers"]


def write_servers(servers: Iterable[ConfiguredServer]) -> str:
    """Returns the text of a file that describes `servers`; values that are defaults are omitted."""
    import yaml

    return yaml.safe_dump(servers_data(servers), sort_keys=False, allow_unicode=True, width=2**16)


def servers_data(servers: Iterable[ConfiguredServer]) -> dict[str, Any]:
    """Returns the content of the file that `write_servers` writes as plain data."""
    return {"servers": {server.spec.name: _data(server) for server in servers}}


def _data(server: ConfiguredServer) -> dict[str, Any]:
    spec, options = server.spec, server.options
    data: dict[str, Any] = {}
    if spec.config is not None:
        data["config"] = _escaped(str(normalized(spec.config)))
    elif spec.models:
        data["models"] = [_model_data(model) for model in spec.models]
    changed = changed_fields(spec) | changed_fields(options)
    for field in FIELDS:
        if field.key is not None and field.shared and field.attribute in changed:
            value = getattr(options if field.launch else spec, field.attribute)
            data[field.name] = _escaped(field.type.write(value))
    return data


def _model_data(model: ModelSpec) -> dict[str, Any]:
    path = model.path if isinstance(model.path, Url) else normalized(model.path)
    data: dict[str, Any] = {"path": _escaped(str(path)), "name": model.name}
    if model.versions is not None:
        data["versions"] = list(model.versions.specific) or str(model.versions)
    if model.labels:
        data["labels"] = dict(model.labels)
    if model.sha256 is not None:
        data["sha256"] = model.sha256
    return data


def _escaped(value: Any) -> Any:
    """Doubles the dollar signs in all text, so that they do not begin variables."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, dict):
        return {key: _escaped(each) for key, each in value.items()}
    return value
