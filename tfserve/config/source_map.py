"""Finds the place in a file that an error is about.

An error about a spec names an attribute of the spec; this module maps the attribute to the field of the file and its
line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfserve.config.document import YamlNode
from tfserve.errors import TfserveError
from tfserve.spec.fields import FIELDS

__all__ = ["FIELD_NAMES", "ServerSource", "file_names"]

FIELD_NAMES: Mapping[str, str] = {field.attribute: field.name for field in FIELDS}
"""Attributes of a spec -> fields of a file."""


def file_names(attribute: str, value: Any = None) -> str:
    """Writes attributes as a file does: ``rest_port``, ``rest_port: 0``, ``gpu: false``."""
    name = FIELD_NAMES.get(attribute) or attribute.removeprefix("model_")  # model_name is the field name of a model
    if isinstance(value, bool):
        value = str(value).lower()
    return name if value is None else f"{name}: {value}"


@dataclass(frozen=True)
class ServerSource:
    """Where a file describes a server.

    Attributes:
        node: the node with the fields of the server.
        defaults: the nodes of the defaults for all servers, by field.
    """

    node: YamlNode
    defaults: Mapping[str, YamlNode]

    def locate(self, error: TfserveError) -> None:
        """Adds file, line and path to an error, unless the error has them."""
        self.at(error.about).locate(error)

    def at(self, keys: Sequence[str | int]) -> YamlNode:
        """Returns the node that describes an attribute of the spec, or the key or index within it."""
        if not keys:
            return self.node
        name, *rest = (FIELD_NAMES.get(str(keys[0]), keys[0]), *keys[1:])
        own = self.node.find([name])
        shared = self.defaults.get(str(name))
        candidates = [node for node in (own, shared) if node is not None]
        exact = (found for node in candidates if (found := node.find(rest)) is not None)
        return next(exact, None) or next((node.at(rest) for node in candidates), self.node)
