"""A connection without a server, for tests of what is sent and of how failures are explained."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from tfserve.client.documents import ModelMetadata
from tfserve.client.messages import InferenceResponse, Method
from tfserve.client.model_ref import ModelRef
from tfserve.defaults import Api
from tfserve.errors import RequestError
from tfserve.models.saved_model import Signature
from tfserve.protos.dtypes import Array
from tfserve.protos.version_status import VersionStatus

__all__ = ["FakeConnection"]


class FakeConnection:
    """A connection to a server with one model.

    Args:
        signatures: the signatures of the model, or the error that reading them raises.
        error: the error that inference raises; None for an empty response.
    """

    api: Api = "rest"
    url = "http://h"
    timeout = 1.0

    def __init__(self, signatures: Mapping[str, Signature] | RequestError, error: RequestError | None = None) -> None:
        self.signatures = signatures
        self.error = error

    def status(self, model: str) -> tuple[VersionStatus, ...]:
        return ()

    def metadata(self, model: ModelRef) -> ModelMetadata:
        if isinstance(self.signatures, RequestError):
            raise self.signatures
        return ModelMetadata(model.name, 1, self.signatures, {})

    def infer(self, method: Method, model: ModelRef, body: bytes) -> InferenceResponse:
        if self.error is not None:
            raise self.error
        return InferenceResponse(b"{}", {}, 1.0)

    def predict_arrays(
        self, model: ModelRef, arrays: Mapping[str, Array], signature: Signature, signature_name: str
    ) -> dict[str, Array]:
        return {}

    def close(self) -> None: ...

    def __enter__(self) -> FakeConnection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
