"""The error of this package: no engine is available."""

from __future__ import annotations


class EngineUnavailableError(Exception):
    """No Docker Engine with `tensorflow/serving` is available; the text is one sentence that gives the reason."""
