"""A connection to one server, whichever of its two APIs it speaks."""

from __future__ import annotations

from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from tfserve.client.documents import ModelMetadata, VersionStatus
from tfserve.client.rest import InferenceResponse, RestClient, Verb
from tfserve.defaults import Api
from tfserve.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfserve.models.saved_model import Signature
    from tfserve.protos.dtypes import Array

__all__ = ["Connection", "connect", "grpc_is_installed"]


class Connection(Protocol):
    """What `RestClient` and `GrpcClient` both do; see `RestClient`."""

    timeout: float

    @property
    def api(self) -> Api:
        """Which API it asks."""
        ...

    @property
    def url(self) -> str:
        """Where the server is."""
        ...

    def status(self, model: str) -> tuple[VersionStatus, ...]:
        """Returns the status of every version of `model`."""
        ...

    def metadata(self, model: str, *, version: int | None = None, label: str | None = None) -> ModelMetadata:
        """Returns the signatures of one version of `model`."""
        ...

    def ask(
        self, verb: Verb, model: str, body: bytes, *, version: int | None = None, label: str | None = None
    ) -> InferenceResponse:
        """Asks what `body` says, a JSON request of the REST API, and returns the answer in its form."""
        ...

    def predict_arrays(
        self,
        model: str,
        arrays: Mapping[str, Array],
        signature: Signature,
        signature_name: str,
        *,
        version: int | None = None,
        label: str | None = None,
    ) -> dict[str, Array]:
        """Asks to predict from the inputs in `arrays`, by name, and returns the outputs by name."""
        ...

    def close(self) -> None:
        """Closes the connection; the next request opens another."""
        ...

    def __enter__(self) -> Connection: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


def connect(address: str, *, api: Api = "rest", timeout: float = 60.0) -> Connection:
    """Returns a connection to the server at `address`, which is opened by the first request.

    Args:
        address: where it is: ``http://HOST:PORT``, or ``HOST:PORT``; with https it is asked over TLS.
        api: which of its APIs is there.
        timeout: how long a whole request may take at most, in seconds.

    Raises:
        UsageError: `address` or `timeout` cannot be used, or gRPC is not installed.
    """
    if api == "rest":
        return RestClient(address, timeout=timeout)
    if not grpc_is_installed():
        raise UsageError(
            "gRPC is not installed here.", hint="Install it: pip install 'tfserve[local]'. Or ask over REST."
        )
    from tfserve.client.grpc import GrpcClient

    return GrpcClient(address, timeout=timeout)


def grpc_is_installed() -> bool:
    """Returns whether servers can be asked over gRPC, with NumPy for the tensors."""
    return all(find_spec(name) is not None for name in ("grpc", "numpy"))
