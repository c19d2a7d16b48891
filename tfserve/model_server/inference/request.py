"""An inference request of any API: the model it names, and how it becomes runs of that model and a response."""

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
        outputs: the outputs to return; None for all of them.
    """

    signature: str
    arrays: Mapping[str, Array]
    outputs: tuple[str, ...] | None = None


class InferenceRequest(ABC):
    """A request between the API that received it and the models.

    `prepare` and `finish` run on the event loop for small requests to fast models and in a thread for all others, so
    their time may grow with the size of the request only, and they do no I/O. `prepare` may be called again, with
    another servable, before `finish`.

    Attributes:
        api: the requested method, as in the metrics: Predict, Classify, Regress or MultiInference.
        entrypoint: the API that received the request, as in the metrics: REST or GRPC.
        model: the model that the request names.
        size: the size of the request in bytes, or that of its tensors if they are larger: few bytes can describe many
            equal values.
        timeout_ms: longest time of a run, in milliseconds; 0 for no limit.
    """

    api: str
    entrypoint: str
    model: ModelSpec
    size: int
    timeout_ms: int

    async def parse(self, servable: Servable) -> None:  # noqa: B027, most requests have nothing to do
        """Does, before `prepare`, the part of a large request's work that happens in another process."""

    @abstractmethod
    def prepare(self, servable: Servable) -> Sequence[Call]:
        """Returns the runs that answer the request.

        Raises:
            StatusError: the request does not match the model's signature.
        """

    def release(self) -> None:  # noqa: B027, most requests have nothing large
        """Frees what only `prepare` needs, which is not called again."""

    @abstractmethod
    def finish(self, servable: Servable, results: Sequence[Outputs]) -> bytes:
        """Returns the body of the response.

        Args:
            servable: the model that ran.
            results: one for each call that `prepare` returned, in the same order.

        Raises:
            StatusError: the format of the response cannot represent the outputs.
        """
