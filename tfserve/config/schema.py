"""The JSON Schema of YAML files that describe servers, for completion and validation in editors."""

from __future__ import annotations

from typing import Any

from tfserve.spec.field_types import TEXT_SCHEMA
from tfserve.spec.fields import FIELDS
from tfserve.spec.values import NAME_PATTERN

__all__ = ["json_schema"]

_VERSION = {"type": ["integer", "string"]}
_MODEL = {
    "anyOf": [
        {**TEXT_SCHEMA, "description": "The path or address of a model."},
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["path"],
            "properties": {
                "path": {
                    **TEXT_SCHEMA,
                    "description": "A directory of versions, one version, or a SavedModel; an archive of one, or its "
                    "https:// address; or a base path in a bucket (s3://, gs://).",
                },
                "name": {
                    **TEXT_SCHEMA,
                    "description": "Name of the model in requests. Default: the name of the server if this is its only "
                    "model, otherwise the name of the directory.",
                },
                "versions": {
                    "anyOf": [{"type": "array", "items": _VERSION}, _VERSION],
                    "description": "latest, latest=2, all, or a list of version numbers.",
                },
                "labels": {
                    "type": "object",
                    "additionalProperties": _VERSION,
                    "description": "Labels of versions: {stable: 1}.",
                },
                "sha256": {"type": ["string", "integer"], "description": "Expected SHA-256 digest of the archive."},
            },
        },
    ]
}


def json_schema() -> dict[str, Any]:
    """Returns the schema, as of draft 2020-12."""
    fields = {field.name: {"description": field.help, **field.type.schema} for field in FIELDS if field.key is not None}
    shared = {field.name: fields[field.name] for field in FIELDS if field.key is not None and field.shared}
    server = {
        "type": "object",
        "additionalProperties": False,
        "anyOf": [{"required": [name]} for name in ("models", "config", "image")],
        "not": {"required": ["models", "config"]},
        "properties": {
            "models": {
                "type": "array",
                "minItems": 1,
                "items": _MODEL,
                "description": "Models to serve; not needed for an image with models inside.",
            },
            **fields,
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tfserve.yaml",
        "description": "Servers for TensorFlow SavedModels, started by tfserve up.",
        "type": "object",
        "required": ["servers"],
        "additionalProperties": False,
        "patternProperties": {"^x-": {}},
        "properties": {
            "defaults": {
                "type": "object",
                "additionalProperties": False,
                "properties": shared,
                "description": "Defaults for all servers.",
            },
            "servers": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": f"^{NAME_PATTERN}$"},
                "additionalProperties": server,
                "description": "The servers, by name.",
            },
        },
    }
