"""A SavedModel in a TensorFlow session."""

from __future__ import annotations

import ctypes
import functools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from ctypes import byref, c_char_p, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tfserve.model_server.monitoring.metrics import LOAD_ATTEMPT_COUNT, LOAD_LATENCY
from tfserve.model_server.runtime import c_api
from tfserve.model_server.runtime.servable import Servable, Signature
from tfserve.model_server.runtime.tensors import new_tensor, take_tensor
from tfserve.model_server.status import Code, StatusError, not_found
from tfserve.protos.dtypes import Array
from tfserve.protos.meta_graphs import MalformedError, read_meta_graphs
from tfserve.protos.saved_model_pb2 import MetaGraphDef, SignatureDef
from tfserve.protos.wire import varint

if TYPE_CHECKING:
    from tfserve.model_server.runtime.batching import Batching

# Field numbers of RunOptions. Source: tensorflow/core/protobuf/config.proto.
_RUN_TIMEOUT_IN_MS = 2
_RUN_INTER_OP_THREAD_POOL = 3

_CALLER_THREAD = -1  # the inter_op_thread_pool that runs in the thread of the caller


@dataclass(frozen=True)
class LoadOptions:
    """How models are loaded.

    Attributes:
        tags: the tags of the meta graph to load.
        session_config: the serialized ``tensorflow.ConfigProto`` of sessions.
        check_methods: the value of `Servable.checks_methods`.
        warm_up: is called with a loaded model before it is served; a StatusError from it fails the load.
        batching: how requests are batched; None to run each request alone.
        tflite_interpreters: how many interpreters run a ``model.tflite`` next to the SavedModel; 0 to ignore it.
    """

    tags: tuple[str, ...] = ("serve",)
    session_config: bytes = b""
    check_methods: bool = False
    warm_up: Callable[[Servable, Path], None] | None = None
    batching: Batching | None = None
    tflite_interpreters: int = 0


class _SessionSignature(Signature):
    """A signature that is ready to run: its feeds and fetches are looked up once.

    The graph may lack a tensor of the signature; for example, a sparse tensor has no name of its own. Such a signature
    is loaded and refused when it is run, because a session would use an invalid operation without checking.
    """

    def __init__(self, graph: int, definition: SignatureDef) -> None:
        super().__init__(definition)
        feeds = [_output(graph, definition.inputs[alias].name) for alias in self.inputs]
        self.feeds = (c_api.Output * len(feeds))(*feeds)
        self.tensors = c_void_p * len(feeds)
        self._fetches = {alias: _output(graph, definition.outputs[alias].name) for alias in self.outputs}
        self._all_fetches = self._array_of(self.outputs)
        self._missing_feeds = [
            definition.inputs[alias].name for alias, feed in zip(self.inputs, feeds, strict=True) if not feed.operation
        ]
        self._missing_fetches = {
            alias: definition.outputs[alias].name for alias, fetch in self._fetches.items() if not fetch.operation
        }
        self._incomplete = bool(self._missing_feeds or self._missing_fetches)

    def fetches(self, outputs: tuple[str, ...]) -> ctypes.Array[c_api.Output]:
        """Returns the C array of the fetches for some outputs.

        Raises:
            StatusError: NOT_FOUND, the graph lacks a tensor of the signature.
        """
        if self._incomplete:
            self._check(outputs)
        return self._all_fetches if outputs is self.outputs else self._array_of(outputs)

    def _check(self, outputs: tuple[str, ...]) -> None:
        """Raises the errors of TensorFlow's own sessions, which look tensors up by name. Source: ``subgraph.cc``."""
        for name in self._missing_feeds:
            raise not_found(f"FeedInputs: unable to find feed output {name}")
        for alias in outputs:
            if alias in self._missing_fetches:
                raise not_found(f"FetchOutputs node {self._missing_fetches[alias]}: not found")

    def _array_of(self, outputs: tuple[str, ...]) -> ctypes.Array[c_api.Output]:
        return (c_api.Output * len(outputs))(*(self._fetches[alias] for alias in outputs))


class SessionServable(Servable):
    """A SavedModel in a TensorFlow session.

    Args:
        name: the model's name.
        version: its version, a number.
        directory: the SavedModel directory.
        options: how to load it.

    Raises:
        StatusError: the directory is not a SavedModel or has no graph with the tags, or TensorFlow cannot load it.
    """

    def __init__(self, name: str, version: int, directory: Path, options: LoadOptions) -> None:
        self.name = name
        self.version = version
        self._graph, self._session = _load(directory, options)
        try:
            self.signatures: Mapping[str, _SessionSignature] = {
                signature: _SessionSignature(self._graph, definition)
                for signature, definition in _meta_graph(directory, options.tags).signature_def.items()
            }
        except BaseException:
            self.close()
            raise

    def _run(
        self, signature: Signature, arrays: Mapping[str, Array], outputs: tuple[str, ...], timeout_ms: int | None
    ) -> dict[str, Array]:
        assert isinstance(signature, _SessionSignature)  # noqa: S101, for the types: it is one of self.signatures
        tf = c_api.library()
        tensors = signature.tensors()
        fetches = signature.fetches(outputs)
        results = (c_void_p * len(fetches))()
        try:
            for index, (alias, dtype) in enumerate(signature.inputs.items()):
                tensors[index] = new_tensor(arrays[alias], dtype)
            with c_api.Status() as status:
                tf.TF_SessionRun(
                    self._session,
                    byref(_run_options(timeout_ms)),
                    *(signature.feeds, tensors, len(tensors)),
                    *(fetches, results, len(results)),
                    *(None, 0),
                    None,
                    status,
                )
        finally:
            for handle in tensors:
                if handle:
                    tf.TF_DeleteTensor(handle)
        return _take_all(outputs, list(results))

    def close(self) -> None:
        tf = c_api.library()
        session, self._session = self._session, 0
        graph, self._graph = self._graph, 0
        if session:
            for function in (tf.TF_CloseSession, tf.TF_DeleteSession):
                with c_api.Status() as status:
                    function(session, status)
        if graph:
            tf.TF_DeleteGraph(graph)


@functools.lru_cache(maxsize=64)
def _run_options(timeout_ms: int | None) -> c_api.Buffer:
    """Returns the serialized ``tensorflow.RunOptions``; `timeout_ms` is None for a run in the thread of the caller."""
    if timeout_ms is None:
        return c_api.Buffer.of(_field(_RUN_INTER_OP_THREAD_POOL, _CALLER_THREAD))
    return c_api.Buffer.of(_field(_RUN_TIMEOUT_IN_MS, timeout_ms))


def _take_all(aliases: tuple[str, ...], handles: list[int]) -> dict[str, Array]:
    taken: dict[str, Array] = {}
    try:
        for alias in aliases:
            taken[alias] = take_tensor(handles.pop(0))
    finally:
        for handle in handles:
            c_api.library().TF_DeleteTensor(handle)
    return taken


def _load(directory: Path, options: LoadOptions) -> tuple[int, int]:
    """Returns the handles of a new graph and of its session."""
    tf = c_api.library()
    graph: int = tf.TF_NewGraph()
    session_options: int = tf.TF_NewSessionOptions()
    tags = (c_char_p * len(options.tags))(*(tag.encode() for tag in options.tags))
    path = str(directory).encode()
    try:
        config = options.session_config
        with c_api.Status() as status:
            tf.TF_SetConfig(session_options, config, len(config), status)
        with _recorded(str(directory)), c_api.Status() as status:
            session: int = tf.TF_LoadSessionFromSavedModel(
                session_options, None, path, tags, len(tags), graph, None, status
            )
    except StatusError:
        tf.TF_DeleteGraph(graph)
        raise
    finally:
        tf.TF_DeleteSessionOptions(session_options)
    return graph, session


@contextmanager
def _recorded(path: str) -> Iterator[None]:
    """Records the load that runs in the ``with`` block in the metrics."""
    start = time.perf_counter()
    status = "fail"
    try:
        yield
        status = "success"
    finally:
        LOAD_ATTEMPT_COUNT.add(path, status)
        LOAD_LATENCY.add(path, amount=int((time.perf_counter() - start) * 1e6))


def _meta_graph(directory: Path, tags: tuple[str, ...]) -> MetaGraphDef:
    binary, text = directory / "saved_model.pb", directory / "saved_model.pbtxt"
    file = binary if binary.exists() else text  # as TensorFlow's loader chooses
    try:
        for meta_graph in read_meta_graphs(file):
            if set(meta_graph.meta_info_def.tags) == set(tags):
                return meta_graph
    except FileNotFoundError:
        raise not_found(f"{directory} has neither saved_model.pb nor saved_model.pbtxt") from None
    except (MalformedError, OSError) as failure:
        raise StatusError(Code.DATA_LOSS, f"{file} cannot be read: {failure}") from None
    raise not_found(f"{directory} has no meta graph with the tags {' '.join(tags)}")


def _output(graph: int, tensor_name: str) -> c_api.Output:
    """Returns the output that a tensor name such as ``x:0`` identifies; its operation is None if it does not exist."""
    operation, _, index = tensor_name.partition(":")
    handle = c_api.library().TF_GraphOperationByName(graph, operation.encode())
    return c_api.Output(handle, int(index) if index.isdecimal() and len(index) < 10 else 0)


def _field(number: int, value: int) -> bytes:
    """Returns an integer field of a serialized protobuf message; empty for 0, the default."""
    if value == 0:
        return b""
    return varint(number << 3) + varint(value % (1 << 64))  # negative values as two's complement
