"""The version of tfserve, in a file of its own so that everything may import it."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
