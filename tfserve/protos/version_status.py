"""The state of one version of a model, as the status API reports it.

Source: ``tensorflow_serving/apis/get_model_status.proto``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

__all__ = ["State", "VersionStatus"]


class State(IntEnum):
    """The life of a version, with the numbers of ``ModelVersionStatus.State``."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class VersionStatus:
    """The state of one version of a model.

    Attributes:
        version: the number of the version.
        state: START, LOADING, AVAILABLE, UNLOADING, END or UNKNOWN.
        error_code: OK, or the name of a gRPC status code, such as NOT_FOUND.
        error_message: the error, or empty.
    """

    version: int
    state: str
    error_code: str
    error_message: str
