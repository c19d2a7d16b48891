"""Finds the place in a file that an error is about, after the file has been read.

An error about a spec names an attribute of the spec; here the attribute becomes the field of the file, with its line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tfserve.config.document import YamlNode
from tfserve.errors import TfserveError
from tfserve.spec.fields import FIELDS

__all__ = ["FIELD_NAMES", "ServerSource", "file_names"]

FIELD_NAMES: Mapping[str, str] = {field.attribute: field.name for field in FIELDS}
"""Attributes of a spec -> the fields of a file."""


def file_names(attribute: str, value: Any = None) -> str:
    """Writes attributes as a file does: ``rest_port``, ``rest_port: 0``, ``gpu: false``."""
    name = FIELD_NAMES.get(attribute) or attribute.removeprefix("model_")  # a model's name, in the fields of the model
    if isinstance(value, bool):
        value = str(value).lower()
    return name if value is None else f"{name}: {value}"


@dataclass(frozen=True)
class ServerSource:
    """Where a file describes one server.

    Attributes:
        node: the fields of the server.
        defaults: the fields that all servers of the file share, by name.
    """

    node: YamlNode
    defaults: Mapping[str, YamlNode]

    @contextmanager
    def located(self) -> Iterator[None]:
        """Adds file, line and path to the errors in the block."""
        try:
            yield
        except TfserveError as error:
            self.locate(error)
            raise

    def locate(self, error: TfserveError) -> None:
        """Adds file, line and path to an error, unless it has them."""
        self.at(error.about).locate(error)

    def at(self, keys: Sequence[str | int]) -> YamlNode:
        """The node that describes an attribute of the spec, or what is below one."""
        if not keys:
            return self.node
        name, *below = (FIELD_NAMES.get(str(keys[0]), keys[0]), *keys[1:])
        own = self.node.find([name])
        shared = self.defaults.get(str(name))
        candidates = [node for node in (own, shared) if node is not None]
        whole = (found for node in candidates if (found := node.find(below)) is not None)
        return next(whole, None) or next((node.at(below) for node in candidates), self.node)
