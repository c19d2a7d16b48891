"""The JSON Schema of a YAML file of servers, by which editors complete and check it."""

from __future__ import annotations

from typing import Any

from tfserve.config.fields import CONFIG_HELP, FIELDS, TEXT
from tfserve.spec.values import NAME_PATTERN

__all__ = ["json_schema"]

_VERSION = {"type": ["integer", "string"]}
_MODEL = {
    "anyOf": [
        {**TEXT, "description": "The directory of a model, or another place of one."},
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["path"],
            "properties": {
                "path": {
                    **TEXT,
                    "description": "A directory of versions, one version, or a SavedModel; an archive of one, or its "
                    "https:// address; or a base path in a bucket (s3://, gs://).",
                },
                "name": {
                    **TEXT,
                    "description": "What requests call it; left out: the name of the server where it is its only "
                    "model, else that of its directory.",
                },
                "versions": {
                    "anyOf": [{"type": "array", "items": _VERSION}, _VERSION],
                    "description": "latest, latest=2, all, or a list of numbers.",
                },
                "labels": {
                    "type": "object",
                    "additionalProperties": _VERSION,
                    "description": "Names for versions: {stable: 1}.",
                },
                "sha256": {"type": ["string", "integer"], "description": "The SHA-256 that the archive has to have."},
            },
        },
    ]
}


def json_schema() -> dict[str, Any]:
    """Returns the schema, of draft 2020-12."""
    fields = {field.name: {"description": field.help, **field.schema} for field in FIELDS}
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
                "description": "What it serves; left out for an image with models inside.",
            },
            "config": {**TEXT, "description": CONFIG_HELP},
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
                "properties": fields,
                "description": "What holds for every server that does not say otherwise.",
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
