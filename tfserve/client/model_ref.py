"""Which model a request is for, and which version of it: TensorFlow Serving's ``ModelSpec``, without the signature.

Source: ``tensorflow_serving/apis/model.proto``.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from tfserve.errors import UsageError, Wording

__all__ = ["ModelRef"]

_MAX_VERSION = 2**63 - 1


@dataclass(frozen=True)
class ModelRef:
    """A model, or one version of it.

    Attributes:
        name: the name of the model.
        version: the version; None for the newest, or the one with `label`.
        label: the label of the version.

    Raises:
        UsageError: `version` and `label` are both given, or one of the three cannot be part of a URL path.
    """

    name: str
    version: int | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        if self.version is not None and self.label is not None:
            raise UsageError(
                Wording("{version} and {label} cannot be combined."), hint=Wording("Give {version} or {label}.")
            )
        if self.version is not None and not 0 <= self.version <= _MAX_VERSION:
            raise UsageError(f"{self.version} is not a version.", hint="Versions are integers, starting at 0.")
        for text, what in ((self.name, "model name"), (self.label, "label")):
            if text is not None and _segment(text) is None:
                raise UsageError(f"{text!r} cannot be a {what}.", hint="tfserve status shows what a server serves.")

    @property
    def path(self) -> str:
        """The URL path in the REST API: ``/v1/models/NAME[/versions/N|/labels/L]``, percent-encoded."""
        path = f"/v1/models/{_segment(self.name)}"
        if self.version is not None:
            return f"{path}/versions/{self.version}"
        return path if self.label is None else f"{path}/labels/{_segment(self.label)}"


def _segment(text: str) -> str | None:
    """Returns `text` as one segment of a URL path, or None if that is not possible."""
    try:
        segment = quote(text, safe="", errors="surrogateescape")
    except UnicodeEncodeError:
        return None
    return None if segment in ("", ".", "..") else segment  # the dots would be resolved as path steps
