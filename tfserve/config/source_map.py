"""Where a file says what a server is, for what is found wrong with it only once all of it is known.

A complaint about a spec knows which attribute it is about; here that becomes the field of the file, with its line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfserve.config.document import Part
from tfserve.config.fields import FIELDS
from tfserve.errors import TfserveError

__all__ = ["FIELD_NAMES", "ServerPlace", "file_names"]

FIELD_NAMES: Mapping[str, str] = {**{field.attribute: field.name for field in FIELDS}, "smoke_request": "smoke_test"}
"""Attributes of specs -> the fields of a file that say them."""

_OF_MODELS = {"model_name": "name"}


def file_names(attribute: str, value: Any = None) -> str:
    """Writes attributes as a file does: ``rest_port``, ``rest_port: 0``, ``gpu: false``."""
    name = FIELD_NAMES.get(attribute) or _OF_MODELS.get(attribute, attribute)
    if isinstance(value, bool):
        value = str(value).lower()
    return name if value is None else f"{name}: {value}"


@dataclass(frozen=True)
class ServerPlace:
    """Where one server is described.

    Attributes:
        part: its fields.
        defaults: the fields that all servers share, by name.
    """

    part: Part
    defaults: Mapping[str, Part]

    def placed(self, error: TfserveError) -> TfserveError:
        """See `Place.placed`."""
        return self.at(error.about).placed(error)

    def at(self, about: Sequence[str | int]) -> Part:
        """The part of the file that says an attribute of the spec, or what is below one."""
        if not about:
            return self.part
        name, *below = (FIELD_NAMES.get(str(about[0]), about[0]), *about[1:])
        own = self.part.find([name])
        shared = self.defaults.get(str(name))
        candidates = [part for part in (own, shared) if part is not None]
        whole = (found for part in candidates if (found := part.find(below)) is not None)
        return next(whole, None) or next((part.at(below) for part in candidates), self.part)
