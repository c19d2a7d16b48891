"""A connection to one server, over either of its two APIs."""

from __future__ import annotations

from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from tfserve.client.documents import ModelMetadata
from tfserve.client.messages import InferenceResponse, Method
from tfserve.client.model_ref import ModelRef
from tfserve.client.rest import RestClient
from tfserve.defaults import INSTALL_LOCAL, Api
from tfserve.errors import UsageError
from tfserve.protos.version_status import VersionStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfserve.models.saved_model import Signature
    from tfserve.protos.dtypes import Array

__all__ = ["Connection", "connect", "grpc_is_installed"]


class Connection(Protocol):
    """The methods that `RestClient` and `GrpcClient` share; see `RestClient`."""

    timeout: float

    @property
    def api(self) -> Api:
        """The API that this connection uses."""
        ...

    @property
    def url(self) -> str:
        """The address of the server."""
        ...

    def status(self, model: str) -> tuple[VersionStatus, ...]:
        """Returns the status of every version of `model`."""
        ...

    def metadata(self, model: ModelRef) -> ModelMetadata:
        """Returns the signatures of `model`."""
        ...

    def infer(self, method: Method, model: ModelRef, body: bytes) -> InferenceResponse:
        """Sends `body`, a JSON request of the REST API, and returns the response in the form of the REST API."""
        ...

    def predict_arrays(
        self, model: ModelRef, arrays: Mapping[str, Array], signature: Signature, signature_name: str
    ) -> dict[str, Array]:
        """Sends the inputs in `arrays`, by name, to predict, and returns the outputs by name."""
        ...

    def close(self) -> None:
        """Closes the connection; the next request opens a new one."""
        ...

    def __enter__(self) -> Connection: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


def connect(address: str, *, api: Api = "rest", timeout: float = 60.0) -> Connection:
    """Returns a connection to the server at `address`, which is opened by the first request.

    Args:
        address: the address of the server: ``http://HOST:PORT`` or ``HOST:PORT``; with https, TLS is used.
        api: the API at this address.
        timeout: the maximum duration of a request, in seconds.

    Raises:
        UsageError: `address` or `timeout` is not valid, or gRPC is not installed.
    """
    if api == "rest":
        return RestClient(address, timeout=timeout)
    if not grpc_is_installed():
        raise UsageError("gRPC is not installed.", hint=f"Install it: {INSTALL_LOCAL}. Or use the REST API.")
    from tfserve.client.grpc import GrpcClient

    return GrpcClient(address, timeout=timeout)


def grpc_is_installed() -> bool:
    """Returns whether gRPC can be used: grpcio is installed, and NumPy for the tensors."""
    return all(find_spec(name) is not None for name in ("grpc", "numpy"))
