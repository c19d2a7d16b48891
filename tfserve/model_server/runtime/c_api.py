"""TensorFlow's C API, bound with ctypes to the library inside the TensorFlow wheel, without importing TensorFlow.

Only the binding: types, function signatures, and statuses turned into exceptions. Calls that can take long release the
GIL. Short calls keep it: releasing it a dozen times in a request would let all busy threads run in between.
Source: ``tensorflow/c/c_api.h``, ``tf_tensor.h`` and ``tf_status.h``.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import sys
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tfserve.defaults import INSTALL_LOCAL
from tfserve.errors import EngineUnavailableError
from tfserve.model_server.status import StatusError

_HINT = f"Install the local runtime: {INSTALL_LOCAL}"


class Output(Structure):
    """``TF_Output``: one output of an operation, which a tensor name identifies."""

    _fields_ = (("operation", c_void_p), ("index", c_int))


class Buffer(Structure):
    """``TF_Buffer``: bytes, here a serialized protobuf message."""

    _fields_ = (
        ("data", c_char_p),
        ("length", c_size_t),
        ("deallocator", CFUNCTYPE(None, c_void_p, c_size_t)),
    )

    @classmethod
    def of(cls, data: bytes) -> Buffer:
        """Returns a buffer with `data`, which the returned object keeps alive."""
        return cls(data=data, length=len(data))


# Name -> (result, arguments). A handle is a void pointer.
_SHORT_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "TF_Version": (c_char_p, ()),
    "TF_NewStatus": (c_void_p, ()),
    "TF_DeleteStatus": (None, (c_void_p,)),
    "TF_GetCode": (c_int, (c_void_p,)),
    "TF_Message": (c_char_p, (c_void_p,)),
    "TF_NewGraph": (c_void_p, ()),
    "TF_GraphOperationByName": (c_void_p, (c_void_p, c_char_p)),
    "TF_NewSessionOptions": (c_void_p, ()),
    "TF_SetConfig": (None, (c_void_p, c_char_p, c_size_t, c_void_p)),
    "TF_DeleteSessionOptions": (None, (c_void_p,)),
    "TF_AllocateTensor": (c_void_p, (c_int, POINTER(c_int64), c_int, c_size_t)),
    "TF_DeleteTensor": (None, (c_void_p,)),
    "TF_TensorType": (c_int, (c_void_p,)),
    "TF_NumDims": (c_int, (c_void_p,)),
    "TF_Dim": (c_int64, (c_void_p, c_int)),
    "TF_TensorByteSize": (c_size_t, (c_void_p,)),
    "TF_TensorData": (c_void_p, (c_void_p,)),
    "TF_StringInit": (None, (c_void_p,)),
    "TF_StringCopy": (None, (c_void_p, c_char_p, c_size_t)),
    "TF_StringGetDataPointer": (c_void_p, (c_void_p,)),
    "TF_StringGetSize": (c_size_t, (c_void_p,)),
}
_LONG_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "TF_LoadSessionFromSavedModel": (
        c_void_p,
        (c_void_p, POINTER(Buffer), c_char_p, POINTER(c_char_p), c_int, c_void_p, POINTER(Buffer), c_void_p),
    ),
    "TF_SessionRun": (
        None,
        (
            c_void_p,
            POINTER(Buffer),
            *(POINTER(Output), POINTER(c_void_p), c_int),
            *(POINTER(Output), POINTER(c_void_p), c_int),
            *(POINTER(c_void_p), c_int),
            POINTER(Buffer),
            c_void_p,
        ),
    ),
    "TF_CloseSession": (None, (c_void_p, c_void_p)),
    "TF_DeleteSession": (None, (c_void_p, c_void_p)),
    "TF_DeleteGraph": (None, (c_void_p,)),
}


def library_path() -> Path:
    """Returns the path of the shared library that exports the C API.

    Raises:
        EngineUnavailableError: TensorFlow is not installed, or its wheel does not contain the library.
    """
    spec = importlib.util.find_spec("tensorflow")  # finds the package without importing it
    if spec is None or not spec.submodule_search_locations:
        raise EngineUnavailableError("TensorFlow is not installed.", hint=_HINT)
    name = "libtensorflow_cc.2.dylib" if sys.platform == "darwin" else "libtensorflow_cc.so.2"
    for location in spec.submodule_search_locations:
        path = Path(location) / name
        if path.exists():
            return path
    raise EngineUnavailableError(f"The installed TensorFlow has no {name}.", hint=_HINT)


@functools.cache
def library() -> SimpleNamespace:
    """Loads the library once; returns its functions by name.

    Raises:
        EngineUnavailableError: the library does not exist, or cannot be loaded on this machine.
    """
    path = library_path()
    _load_with_lazy_binding(path)
    try:
        short = _declare(ctypes.PyDLL(str(path)), _SHORT_FUNCTIONS)
        long = _declare(ctypes.CDLL(str(path)), _LONG_FUNCTIONS)
    except (OSError, AttributeError) as failure:
        raise EngineUnavailableError(f"TensorFlow's library cannot be loaded: {failure}", hint=_HINT) from None
    return SimpleNamespace(**short, **long)


def _load_with_lazy_binding(path: Path) -> None:
    """Loads a library so that each function it imports is looked up when it is first called.

    ctypes looks up all functions on loading, which is a third of the time that TensorFlow's library takes to load; it
    does not load a library again. If loading fails here, ctypes reports why.
    """
    ctypes.CDLL(None).dlopen(os.fsencode(path), os.RTLD_LAZY)


def _declare(loaded: ctypes.CDLL, functions: dict[str, tuple[Any, tuple[Any, ...]]]) -> dict[str, Any]:
    declared = {}
    for name, (result, arguments) in functions.items():
        function = declared[name] = getattr(loaded, name)
        function.restype = result
        function.argtypes = arguments
    return declared


def version() -> str:
    """Returns TensorFlow's version."""
    text: bytes = library().TF_Version()
    return text.decode()


class Status:
    """A ``TF_Status`` for the duration of a ``with`` block; if it holds an error, leaving the block raises it."""

    __slots__ = ("_handle",)

    def __enter__(self) -> int:
        handle: int = library().TF_NewStatus()
        self._handle = handle
        return handle

    def __exit__(self, kind: object, failure: object, traceback: object) -> None:
        tf = library()
        code = tf.TF_GetCode(self._handle)
        message = tf.TF_Message(self._handle).decode(errors="replace") if code else ""
        tf.TF_DeleteStatus(self._handle)
        if code and failure is None:
            raise StatusError(code, message)
