"""The client for Python programs: NumPy arrays in and out, over either API."""

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
from tfserve.client.transport.reading_time import ReadingTime
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
    """A client of a running server. It is not thread-safe; create one per thread instead.

    >>> client = tfserve.Client(url, model="half_plus_two")
    >>> client.predict([1, 2, 5])
    array([2.5, 3. , 4.5], dtype=float32)
    >>> client.status()
    (VersionStatus(version=1, state='AVAILABLE', error_code='OK', error_message=''),)

    Every method raises `tfserve.errors.RequestError` if the server refuses or fails the request, cannot be reached, or
    does not respond within `timeout`; the classes in `tfserve.client.failures` distinguish these. It raises
    `tfserve.errors.UsageError` for arguments that are not valid, before anything is sent.

    Args:
        url: the address of the server: ``http://HOST:PORT`` or ``HOST:PORT``; with https, TLS is used.
        model: the default for the argument `model` of all methods.
        api: the API at this address; gRPC requires the extra ``tfserve-cli[local]``.
        timeout: the maximum duration of a request, in seconds; it can be changed at any time.

    Raises:
        UsageError: `url` or `timeout` is not valid, or NumPy or gRPC is not installed.
    """

    def __init__(self, url: str, *, model: str | None = None, api: Api = "rest", timeout: float = 60.0) -> None:
        if find_spec("numpy") is None:
            raise UsageError("NumPy is not installed.", hint="Install it: pip install numpy")
        self.model = model
        self._connection: Connection = connect(url, api=api, timeout=timeout)
        self._known: dict[ModelRef, ModelMetadata] = {}

    @property
    def url(self) -> str:
        """The address of the server."""
        return self._connection.url

    @property
    def api(self) -> Api:
        """The API that the client uses."""
        return self._connection.api

    @property
    def timeout(self) -> float:
        """The maximum duration of a request, in seconds."""
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
        """Sends inputs to a model, and returns its outputs: an array for an array, arrays by name for arrays by name.

        >>> client.predict({"x": [1.0, 2.0]}, version=1)
        {'y': array([2.5, 3. ], dtype=float32)}

        Args:
            inputs: the only input, or a dict of all inputs by name, each an array or a value that NumPy can convert.
                They are converted to the dtypes of the signature, unless that would change a number other than by
                rounding; text is str or bytes. The shapes have to match the signature, including the batch dimension.
            signature: the name of the signature; None for ``serving_default``, or the only one.
            model: the name of the model; None for the client's model.
            version: the version; None for the newest.
            label: the label of the version, instead of `version`.

        Returns:
            The only output, or a dict of all outputs by name, with the dtypes of the signature; text is bytes, in
            arrays of dtype object. Over gRPC, the arrays are read-only.

        Raises:
            UsageError: the inputs do not match the signature; or it has several outputs, and the input was passed
                without its name.
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
        """Sends examples to a model, and returns the classes of each.

        >>> client.classify([{"x": 1.0}, {"x": 2.0}])
        [[Class(label='', score=2.5)], [Class(label='', score=3.0)]]

        Args:
            examples: dicts of features by name; a feature is an int, float, bool, str or bytes, or a list of one type.
            context: features that all examples share.
            signature: the name of the signature; None for ``serving_default`` if it classifies, or the only one.
            model: the name of the model; None for the client's model.
            version: the version; None for the newest.
            label: the label of the version, instead of `version`.

        Returns:
            The classes of each example, in the order of the model.
        """
        ref = self._ref(model, version, label)
        time = ReadingTime(self.url, self.timeout)
        return read_classes(self._infer_examples("classify", ref, examples, context, signature), time.check)

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
        """Sends examples to a model, and returns a value for each; the arguments are those of `classify`.

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
        """Returns the metadata of a model, with its signatures.

        >>> client.metadata().signatures["serving_default"].inputs
        {'x': TensorSpec(dtype='DT_FLOAT', shape=(-1,))}
        """
        ref = self._ref(model, version, label)
        found = self._known[ref] = self._connection.metadata(ref)
        return found

    def status(self, *, model: str | None = None) -> tuple[VersionStatus, ...]:
        """Returns the status of every version of a model."""
        return self._connection.status(self._ref(model, None, None).name)

    def close(self) -> None:
        """Closes the connection; the next request opens a new one."""
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
    """Returns whether `error` may be caused by outdated signatures."""
    from tfserve.client.json_arrays import StaleSignatureError

    refused = isinstance(error, RefusedError) and error.status == 400
    return refused or isinstance(error, (UsageError, StaleSignatureError))
