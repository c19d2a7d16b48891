"""Messages as the command line writes them, for tests of modules that know nothing of its options."""

from __future__ import annotations

from tfserve.errors import Wording
from tfserve.spec.fields import option_names

__all__ = ["as_typed"]


def as_typed(text: str | Wording | None) -> str:
    """Returns the text with attributes of a spec as options."""
    return text(option_names) if isinstance(text, Wording) else str(text)
