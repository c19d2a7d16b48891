"""The one error of this package: why there is no engine to test against."""

from __future__ import annotations


class EngineUnavailableError(Exception):
    """No Docker Engine with `tensorflow/serving` can be had here; the text is one sentence that says why."""
