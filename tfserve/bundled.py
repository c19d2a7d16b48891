"""The models that come with tfserve."""

from __future__ import annotations

from pathlib import Path

from tfserve.errors import SavedModelError

__all__ = ["bundled_model"]

_PACKAGE = Path(__file__).resolve().parent


def bundled_model(name: str) -> Path:
    """The base path of a bundled model: inside the installed package, or in the examples of a source checkout.

    Raises:
        SavedModelError: the package was installed without it.
    """
    for examples in (_PACKAGE / "examples", _PACKAGE.parent / "examples"):
        if (examples / name).is_dir():
            return examples / name
    raise SavedModelError(
        f"This installation lacks the model {name!r}.", hint="Install tfserve again: pip install tfserve"
    )
