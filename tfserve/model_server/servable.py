"""One loaded version of a model: a SavedModel in a TensorFlow session, its signatures, and running them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from ctypes import byref, c_char_p, c_void_p
from dataclasses import dataclass
from pathlib import Path

from tfserve.model_server import c_api
from tfserve.model_server.status import Code, StatusError, invalid_argument, not_found
from tfserve.model_server.tensors import Array, new_tensor, take_tensor
from tfserve.protos.meta_graphs import MalformedError, read_meta_graphs
from tfserve.protos.saved_model_pb2 import MetaGraphDef, SignatureDef

DEFAULT_SIGNATURE = "serving_default"

# Field numbers of ConfigProto and RunOptions. Source: tensorflow/core/protobuf/config.proto.
_CONFIG_INTRA_OP_PARALLELISM_THREADS = 2
_CONFIG_INTER_OP_PARALLELISM_THREADS = 5
_RUN_TIMEOUT_IN_MS = 2
_RUN_INTER_OP_THREAD_POOL = 3

_CALLER_THREAD = -1  # the inter_op_thread_pool that is the thread of the caller
_FAST_SECONDS = 0.002
_FAST_INPUT_BYTES = 1 << 16


@dataclass(frozen=True)
class LoadOptions:
    """How models are loaded and run.

    Attributes:
        tags: the tags of the meta graph to load.
        timeout_ms: longest time of one run, in milliseconds; 0 for no limit.
        intra_op_threads: threads that share one op; 0 lets TensorFlow choose.
        inter_op_threads: ops that run at the same time; 0 lets TensorFlow choose.
    """

    tags: tuple[str, ...] = ("serve",)
    timeout_ms: int = 30_000
    intra_op_threads: int = 0
    inter_op_threads: int = 0

    def config_proto(self) -> bytes:
        """Returns the session's serialized ``tensorflow.ConfigProto``."""
        intra = _field(_CONFIG_INTRA_OP_PARALLELISM_THREADS, self.intra_op_threads)
        inter = _field(_CONFIG_INTER_OP_PARALLELISM_THREADS, self.inter_op_threads)
        return intra + inter

    def run_options(self) -> bytes:
        """Returns the serialized ``tensorflow.RunOptions`` of a run that may take long."""
        return _field(_RUN_TIMEOUT_IN_MS, self.timeout_ms)


class _Call:
    """A signature made ready to run: what to feed and what to fetch, looked up once."""

    def __init__(self, graph: int, definition: SignatureDef) -> None:
        self.inputs = {alias: info.dtype for alias, info in sorted(definition.inputs.items())}
        self.outputs = tuple(sorted(definition.outputs))
        feeds = [_output(graph, definition.inputs[alias].name) for alias in self.inputs]
        fetches = [_output(graph, definition.outputs[alias].name) for alias in self.outputs]
        self.feeds = (c_api.Output * len(feeds))(*feeds)
        self.fetches = (c_api.Output * len(fetches))(*fetches)
        self.tensors = c_void_p * len(feeds)
        self.results = c_void_p * len(fetches)
        self.seconds: float | None = None  # of one run, a moving average

    @property
    def is_fast(self) -> bool:
        return self.seconds is not None and self.seconds < _FAST_SECONDS


class Servable:
    """A SavedModel in memory, ready to run from any thread.

    Args:
        name: the model's name.
        version: its version, a number.
        directory: the SavedModel directory.
        options: how to load and run it.

    Attributes:
        meta_graph: its tags and signatures.

    Raises:
        StatusError: it is not a SavedModel, has no such tags, or TensorFlow cannot load it.
    """

    def __init__(self, name: str, version: int, directory: Path, options: LoadOptions) -> None:
        self.name = name
        self.version = version
        self._run_options = c_api.Buffer.of(options.run_options())
        self._fast_run_options = c_api.Buffer.of(_field(_RUN_INTER_OP_THREAD_POOL, _CALLER_THREAD))
        self._graph, self._session = _load(directory, options)
        try:
            self.meta_graph = _meta_graph(directory, options.tags)
            self._calls = {
                signature: _Call(self._graph, definition)
                for signature, definition in self.meta_graph.signature_def.items()
            }
        except BaseException:
            self.close()
            raise

    def inputs(self, signature: str) -> Mapping[str, int]:
        """Returns the inputs of a signature: alias -> ``DataType`` number, sorted by alias.

        Args:
            signature: its name; empty stands for ``serving_default``.

        Raises:
            StatusError: INVALID_ARGUMENT, there is no such signature.
        """
        return self._call(signature).inputs

    def is_fast(self, signature: str = "") -> bool:
        """Returns whether runs of the signature have lately been so short that a thread of their own would cost more.

        Never true before the first run, in which TensorFlow still prepares the graph. Fast runs with small inputs, of
        64 KiB at most, stay in the thread that asks for them, without TensorFlow's thread pool and so without a time
        limit.
        """
        call = self._calls.get(signature or DEFAULT_SIGNATURE)
        return call is not None and call.is_fast

    def run(self, signature: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Runs a signature.

        Args:
            signature: its name; empty stands for ``serving_default``.
            arrays: one array for each input, by alias, in the dtypes of `inputs`; strings as object arrays of bytes.

        Returns:
            One array for each output, by alias; read-only.

        Raises:
            StatusError: what TensorFlow said, such as INVALID_ARGUMENT for a shape that does not fit, or
                DEADLINE_EXCEEDED for a run past the time limit.
        """
        call = self._call(signature)
        tf = c_api.library()
        tensors = call.tensors()
        results = call.results()
        fast = call.is_fast and sum(array.nbytes for array in arrays.values()) <= _FAST_INPUT_BYTES
        start = time.perf_counter()
        try:
            for index, (alias, dtype) in enumerate(call.inputs.items()):
                tensors[index] = new_tensor(arrays[alias], dtype)
            with c_api.Status() as status:
                tf.TF_SessionRun(
                    self._session,
                    byref(self._fast_run_options if fast else self._run_options),
                    *(call.feeds, tensors, len(tensors)),
                    *(call.fetches, results, len(results)),
                    *(None, 0),
                    None,
                    status,
                )
        except StatusError:
            if fast:  # a slow failure must not stay in the caller's thread; a quick one makes no slow model fast
                self._note_duration(call, time.perf_counter() - start)
            raise
        finally:
            for handle in tensors:
                if handle:
                    tf.TF_DeleteTensor(handle)
        self._note_duration(call, time.perf_counter() - start)
        return _take_all(call.outputs, list(results))

    def close(self) -> None:
        """Frees the session and its memory. Nothing may run, or run again."""
        tf = c_api.library()
        session, self._session = self._session, 0
        graph, self._graph = self._graph, 0
        if session:
            for function in (tf.TF_CloseSession, tf.TF_DeleteSession):
                with c_api.Status() as status:
                    function(session, status)
        if graph:
            tf.TF_DeleteGraph(graph)

    def _call(self, signature: str) -> _Call:
        call = self._calls.get(signature or DEFAULT_SIGNATURE)
        if call is None:
            raise invalid_argument(
                f'Serving signature name: "{signature or DEFAULT_SIGNATURE}" not found in signature def'
            )
        return call

    @staticmethod
    def _note_duration(call: _Call, seconds: float) -> None:
        if call.seconds is None:
            # The first run also prepares the graph, so that it took long says nothing about the next one.
            call.seconds = min(seconds, _FAST_SECONDS)
        else:
            # Down faster than up: what makes a short run look long is other work at the same time.
            weight = 0.5 if seconds < call.seconds else 0.2
            call.seconds += weight * (seconds - call.seconds)


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
    """Returns the handles of a new graph and of the session over it."""
    tf = c_api.library()
    graph: int = tf.TF_NewGraph()
    session_options: int = tf.TF_NewSessionOptions()
    tags = (c_char_p * len(options.tags))(*(tag.encode() for tag in options.tags))
    path = str(directory).encode()
    try:
        config = options.config_proto()
        with c_api.Status() as status:
            tf.TF_SetConfig(session_options, config, len(config), status)
        with c_api.Status() as status:
            session: int = tf.TF_LoadSessionFromSavedModel(
                session_options, None, path, tags, len(tags), graph, None, status
            )
    except StatusError:
        tf.TF_DeleteGraph(graph)
        raise
    finally:
        tf.TF_DeleteSessionOptions(session_options)
    return graph, session


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
    """Returns what a tensor name such as ``x:0`` stands for; an unknown one is left to fail when it is run."""
    operation, _, index = tensor_name.partition(":")
    handle = c_api.library().TF_GraphOperationByName(graph, operation.encode())
    return c_api.Output(handle, int(index) if index.isdigit() else 0)


def _field(number: int, value: int) -> bytes:
    """Returns an integer field of a serialized protobuf message; nothing for 0, the default."""
    if value == 0:
        return b""
    return _varint(number << 3) + _varint(value % (1 << 64))  # negative values as two's complement


def _varint(value: int) -> bytes:
    """Returns `value`, at least 0, in protobuf's variable-length encoding.

    Source: https://protobuf.dev/programming-guides/encoding/
    """
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
