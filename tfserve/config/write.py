"""Writes YAML files that describe servers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tfserve.config.paths import normalized
from tfserve.config.read import ConfiguredServer
from tfserve.models.url import Url
from tfserve.plan.secrets import hidden_variables
from tfserve.spec.fields import FIELDS
from tfserve.spec.model import ModelSpec
from tfserve.spec.serve import changed_fields

__all__ = ["servers_data", "write_servers"]


def write_servers(servers: Iterable[ConfiguredServer], *, secrets: bool = True) -> str:
    """Returns the text of a file that describes `servers`; values that are defaults are omitted.

    Args:
        servers: the servers.
        secrets: whether to write the values of secret variables; otherwise ``${NAME}`` refers to the environment.
    """
    import yaml

    return yaml.safe_dump(servers_data(servers, secrets=secrets), sort_keys=False, allow_unicode=True, width=2**16)


def servers_data(servers: Iterable[ConfiguredServer], *, secrets: bool = True) -> dict[str, Any]:
    """Returns the content of the file that `write_servers` writes as plain data."""
    return {"servers": {server.spec.name: _data(server, secrets) for server in servers}}


def _data(server: ConfiguredServer, secrets: bool) -> dict[str, Any]:
    spec, options = server.spec, server.options
    data: dict[str, Any] = {}
    if spec.config is not None:
        data["config"] = _escaped(str(normalized(spec.config)))
    elif spec.models:
        data["models"] = [_model_data(model, secrets) for model in spec.models]
    changed = changed_fields(spec) | changed_fields(options)
    for field in FIELDS:
        if field.key is not None and field.shared and field.attribute in changed:
            value = getattr(options if field.launch else spec, field.attribute)
            data[field.name] = _escaped(field.type.write(value))
            if field.attribute == "environment" and not secrets:
                data[field.name] |= {name: f"${{{name}}}" for name in hidden_variables(value)}
    return data


def _model_data(model: ModelSpec, secrets: bool) -> dict[str, Any]:
    data: dict[str, Any] = {"path": _path(model.path, secrets), "name": model.name}
    if model.versions is not None:
        data["versions"] = list(model.versions.specific) or str(model.versions)
    if model.labels:
        data["labels"] = dict(model.labels)
    if model.sha256 is not None:
        data["sha256"] = model.sha256
    return data


def _path(path: Path | Url, secrets: bool) -> str:
    """Writes where a model is; an address without `secrets` is as in the file, with variables that are not resolved."""
    if isinstance(path, Url) and path.written != path and not secrets:
        return path.written
    return str(_escaped(str(path if isinstance(path, Url) else normalized(path))))


def _escaped(value: Any) -> Any:
    """Doubles the dollar signs in all text, so that they do not begin variables."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, dict):
        return {key: _escaped(each) for key, each in value.items()}
    return value
