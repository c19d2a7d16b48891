"""A client for programs: NumPy in, NumPy out, over either API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from tfserve.client.connection import Connection, connect
from tfserve.client.documents import ModelMetadata
from tfserve.client.failures import RefusedError, display_url
from tfserve.client.model_ref import ModelRef
from tfserve.client.rest import check_timeout
from tfserve.client.results import Class, read_classes, read_values
from tfserve.defaults import Api
from tfserve.errors import TfserveError, UsageError
from tfserve.protos.version_status import VersionStatus

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from tfserve.client.example_requests import ExampleMethod
    from tfserve.models.saved_model import Signature


__all__ = ["Client"]

_C = TypeVar("_C", bound="Client")


class Client:
    """Asks a server that runs already. Not for use by several threads at once: a client of its own costs nothing.

    >>> client = tfserve.Client(url, model="half_plus_two")
    >>> client.predict([1, 2, 5])
    array([2.5, 3. , 4.5], dtype=float32)
    >>> client.status()
    (VersionStatus(version=1, state='AVAILABLE', error_code='OK', error_message=''),)

    Every method raises `tfserve.errors.RequestError` if the server refuses or fails the request, is not there, or
    takes longer than `timeout`; the classes in `tfserve.client.failures` tell these apart. It raises
    `tfserve.errors.UsageError` for what cannot be asked, before anything is sent.

    Args:
        url: where the server is: ``http://HOST:PORT``, or ``HOST:PORT``; with https it is asked over TLS.
        model: the model that is meant where a method is not told another.
        api: which API is there; gRPC needs the extra ``tfserve[local]``.
        timeout: how long a request may take at most, in seconds; it may be set at any time.

    Raises:
        UsageError: `url` or `timeout` cannot be used, or NumPy or gRPC is not installed.
    """

    def __init__(self, url: str, *, model: str | None = None, api: Api = "rest", timeout: float = 60.0) -> None:
        if find_spec("numpy") is None:
            raise UsageError("NumPy is not installed here.", hint="Install it: pip install numpy")
        self.model = model
        self._connection: Connection = connect(url, api=api, timeout=timeout)
        self._known: dict[ModelRef, ModelMetadata] = {}

    @property
    def url(self) -> str:
        """Where the server is."""
        return self._connection.url

    @property
    def api(self) -> Api:
        """Which API is asked."""
        return self._connection.api

    @property
    def timeout(self) -> float:
        """How long a request may take at most, in seconds."""
        return self._connection.timeout

    @timeout.setter
    def timeout(self, seconds: float) -> None:
        check_timeout(seconds)
        self._connection.timeout = seconds

    @overload
    def predict(
        self,
        inputs: Mapping[str, ArrayLike],
        *,
        signature: str | None = None,
        model: str | None = None,
        version: int | None = None,
        label: str | None = None,
    ) -> dict[str, NDArray[Any]]: ...

    @overload
    def predict(
        self,
        inputs: ArrayLike,
        *,
        signature: str | None = None,
        model: str | None = None,
        version: int | None = None,
        label: str | None = None,
    ) -> NDArray[Any]: ...

    def predict(
        self,
        inputs: Mapping[str, ArrayLike] | ArrayLike,
        *,
        signature: str | None = None,
        model: str | None = None,
        version: int | None = None,
        label: str | None = None,
    ) -> dict[str, NDArray[Any]] | NDArray[Any]:
        """Asks a model to predict: from an array an array, from arrays by name arrays by name.

        >>> client.predict({"x": [1.0, 2.0]}, version=1)
        {'y': array([2.5, 3. ], dtype=float32)}

        Args:
            inputs: the only input, or a dict of all by name: arrays, or what NumPy makes one of. Each is converted to
                the dtype of the signature, unless that would change a number other than by rounding; text is given
                as str or bytes. Its shape has to be that of the signature, batch and all.
            signature: its name; None for ``serving_default``, or the only one.
            model: None for the client's own.
            version: None for the newest.
            label: instead of a version.

        Returns:
            The only output, or a dict of all by name, with the dtypes of the signature; text is bytes, in arrays of
            dtype object. Over gRPC the arrays are read-only.

        Raises:
            UsageError: the inputs do not fit the signature; or it has several outputs, and the input came without its
                name.
        """
        ref = self._ref(model, version, label)
        before = self._known.get(ref)
        try:
            outputs = self._predict(ref, inputs, signature)
        except TfserveError as error:
            if before is None or not _may_be_stale(error):
                raise
            # The server may have loaded another version since the signatures were read.
            del self._known[ref]
            if self._signatures(ref) == before.signatures:
                raise
            outputs = self._predict(ref, inputs, signature)
        return outputs if isinstance(inputs, Mapping) else next(iter(outputs.values()))

    def classify(
        self,
        examples: Sequence[Mapping[str, Any]],
        *,
        context: Mapping[str, Any] | None = None,
        signature: str | None = None,
        model: str | None = None,
        version: int | None = None,
        label: str | None = None,
    ) -> list[list[Class]]:
        """Asks a model to classify examples.

        >>> client.classify([{"x": 1.0}, {"x": 2.0}])
        [[Class(label='', score=2.5)], [Class(label='', score=3.0)]]

        Args:
            examples: each a dict of features by name: an int, float, bool, str or bytes, or several of one kind.
            context: features that all examples have besides their own.
            signature: its name; None for ``serving_default`` if that classifies, or the only one that does.
            model: None for the client's own.
            version: None for the newest.
            label: instead of a version.

        Returns:
            The classes of each example, in the model's order.
        """
        ref = self._ref(model, version, label)
        return read_classes(self._infer_examples("classify", ref, examples, context, signature))

    def regress(
        self,
        examples: Sequence[Mapping[str, Any]],
        *,
        context: Mapping[str, Any] | None = None,
        signature: str | None = None,
        model: str | None = None,
        version: int | None = None,
        label: str | None = None,
    ) -> NDArray[Any]:
        """Asks a model for a value for each example; the arguments are those of `classify`.

        >>> client.regress([{"x": 1.0}, {"x": 2.0}], signature="regress_x_to_y")
        array([2.5, 3. ], dtype=float32)

        Returns:
            The values, float32 of shape ``(len(examples),)``.
        """
        ref = self._ref(model, version, label)
        return read_values(self._infer_examples("regress", ref, examples, context, signature), len(examples))

    def metadata(
        self, *, model: str | None = None, version: int | None = None, label: str | None = None
    ) -> ModelMetadata:
        """Asks for the signatures of a model.

        >>> client.metadata().signatures["serving_default"].inputs
        {'x': TensorSpec(dtype='DT_FLOAT', shape=(-1,))}
        """
        ref = self._ref(model, version, label)
        found = self._known[ref] = self._connection.metadata(ref)
        return found

    def status(self, *, model: str | None = None) -> tuple[VersionStatus, ...]:
        """Asks for the state of every version of a model."""
        return self._connection.status(self._ref(model, None, None).name)

    def close(self) -> None:
        """Closes the connection; the next request opens another."""
        self._connection.close()

    def __enter__(self: _C) -> _C:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        model = "" if self.model is None else f", model={self.model!r}"
        return f"tfserve.Client({display_url(self.url)!r}{model}, api={self.api!r})"

    def _ref(self, model: str | None, version: int | None, label: str | None) -> ModelRef:
        name = self.model if model is None else model
        if name is None:
            raise UsageError("No model was named.", hint="Give model=NAME to the client or to this call.")
        return ModelRef(name, version, label)

    def _signatures(self, ref: ModelRef) -> Mapping[str, Signature]:
        if ref not in self._known:
            self._known[ref] = self._connection.metadata(ref)
        return self._known[ref].signatures

    def _predict(
        self, ref: ModelRef, inputs: Mapping[str, ArrayLike] | ArrayLike, signature: str | None
    ) -> dict[str, NDArray[Any]]:
        from tfserve.client.arrays import input_arrays
        from tfserve.client.signature_choice import choose_signature

        name, chosen = choose_signature(self._signatures(ref), signature)
        arrays = input_arrays(inputs, chosen)
        if not isinstance(inputs, Mapping) and len(chosen.outputs) != 1:
            raise UsageError(
                f"The signature {name!r} has {len(chosen.outputs)} outputs.",
                hint=f"Pass the input by name, to get the outputs by name: {{{next(iter(arrays))!r}: …}}",
            )
        return self._connection.predict_arrays(ref, arrays, chosen, name)

    def _infer_examples(
        self,
        method: ExampleMethod,
        ref: ModelRef,
        examples: Sequence[Mapping[str, Any]],
        context: Mapping[str, Any] | None,
        signature: str | None,
    ) -> Mapping[str, Any]:
        from tfserve.client.example_requests import build_examples, choose_example_signature, plain_example
        from tfserve.client.inference import infer

        request = build_examples(
            method,
            [plain_example(example) for example in examples],
            signature_name=choose_example_signature(self._signatures(ref), method, signature)[0],
            context=plain_example(context or {}),
        )
        return infer(self._connection, ref, request).document


def _may_be_stale(error: TfserveError) -> bool:
    """Returns whether the signatures that are known may have led to `error`."""
    from tfserve.client.json_arrays import StaleSignatureError

    refused = isinstance(error, RefusedError) and error.status == 400
    return refused or isinstance(error, (UsageError, StaleSignatureError))
