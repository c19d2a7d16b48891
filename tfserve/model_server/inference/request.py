"""A request for inference, whatever API it came by: which model it is for, and how it becomes runs and an answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tfserve.model_server.models.manager import ModelSpec
from tfserve.model_server.runtime.servable import Servable
from tfserve.protos.dtypes import Array

Outputs = Mapping[str, Array]
"""The result of a run: output alias -> values."""


class Call(NamedTuple):
    """One run of one signature.

    Attributes:
        signature: its name; empty for ``serving_default``.
        arrays: input alias -> values.
        outputs: the outputs wanted; None for all of them.
    """

    signature: str
    arrays: Mapping[str, Array]
    outputs: tuple[str, ...] | None = None


class InferenceRequest(ABC):
    """A request between the API that read it and the models.

    `prepare` and `finish` run on the event loop for small requests to fast models and in a thread for all others, so
    they may take as long as the request is large, and do no I/O. `prepare` may be called again, on another servable,
    before `finish`.

    Attributes:
        api: the method asked for, as metrics name it: Predict, Classify, Regress or MultiInference.
        entrypoint: the API it came by, as metrics name it: REST or GRPC.
        model: what is asked.
        size: bytes of the request.
        timeout_ms: longest time of a run, in milliseconds; 0 for no limit.
    """

    api: str
    entrypoint: str
    model: ModelSpec
    size: int
    timeout_ms: int

    @abstractmethod
    def prepare(self, servable: Servable) -> Sequence[Call]:
        """Returns the runs that answer the request.

        Raises:
            StatusError: it does not fit the model's signature.
        """

    @abstractmethod
    def finish(self, servable: Servable, results: Sequence[Outputs]) -> bytes:
        """Returns the body of the response.

        Args:
            servable: what ran.
            results: one for each call that `prepare` returned, in the same order.

        Raises:
            StatusError: the outputs cannot be told in the response's format.
        """
