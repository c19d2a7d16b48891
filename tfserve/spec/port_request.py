"""A host port to publish on, as the user requested it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tfserve.errors import UsageError

__all__ = ["PortRequest"]

_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True)
class PortRequest:
    """A host port to publish on.

    Attributes:
        number: the port; 0 for any free port; None to publish nothing.
        explicit: whether the user requested this port. A default port may be replaced when it is taken.
    """

    number: int | None
    explicit: bool = False

    @classmethod
    def parse(cls, text: str) -> PortRequest:
        """Parses ``8501``, ``0`` or ``none``.

        Raises:
            UsageError: `text` is not a port.
        """
        if text.strip().lower() == "none":
            return cls(None, explicit=True)
        if _PORT.fullmatch(text) and int(text) <= 65535:
            return cls(int(text), explicit=True)
        raise UsageError(
            f"{text!r} is not a port.", hint="Give a number from 1 to 65535, 0 for any free port, or none."
        )
