"""A loaded version of a model, independent of its runtime: its signatures, and how long they take to run."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from asyncio import Future
from collections.abc import Mapping

from tfserve.model_server.status import StatusError, invalid_argument
from tfserve.protos.dtypes import Array
from tfserve.protos.saved_model_pb2 import SignatureDef

DEFAULT_SIGNATURE = "serving_default"
FAST_SECONDS = 0.002
"""A signature is fast if its runs take less than this on average."""

FAST_INPUT_BYTES = 1 << 16
"""Size of the largest inputs of a fast run."""


def no_signature(name: str) -> StatusError:
    """Returns the error for a signature that a model does not have; an empty name means ``serving_default``."""
    return invalid_argument(f'Serving signature name: "{name or DEFAULT_SIGNATURE}" not found in signature def')


class Signature:
    """A signature of a loaded model.

    Args:
        definition: the ``SignatureDef`` in the SavedModel.

    Attributes:
        definition: the ``SignatureDef``.
        inputs: alias -> ``DataType`` number, sorted by alias.
        outputs: aliases, sorted.
    """

    def __init__(self, definition: SignatureDef) -> None:
        self.definition = definition
        self.inputs: Mapping[str, int] = {alias: info.dtype for alias, info in sorted(definition.inputs.items())}
        self.outputs = tuple(sorted(definition.outputs))
        self._seconds: float | None = None  # of one run, a moving average

    @property
    def is_fast(self) -> bool:
        """Whether recent runs have been short; never true before the first run."""
        return self._seconds is not None and self._seconds < FAST_SECONDS

    @property
    def has_run(self) -> bool:
        """Whether a run has been recorded."""
        return self._seconds is not None

    def record_duration(self, seconds: float) -> None:
        """Adds a run to the average."""
        if self._seconds is None:
            # The first run also prepares the graph, so a long first run does not make the signature slow.
            self._seconds = min(seconds, FAST_SECONDS)
        else:
            # The average decreases faster than it increases: other work can make a short run take long.
            weight = 0.5 if seconds < self._seconds else 0.2
            self._seconds += weight * (seconds - self._seconds)


class Servable(ABC):
    """A model in memory, ready to run from any thread.

    Attributes:
        name: the model's name.
        version: its version, a number.
        signatures: by name.
        checks_methods: whether a signature can only be used in the API that its method name belongs to.
        batches: whether requests are batched, and so have to use `submit`.
    """

    name: str
    version: int
    signatures: Mapping[str, Signature]
    checks_methods: bool = False
    batches: bool = False

    def signature(self, name: str) -> Signature:
        """Returns a signature.

        Args:
            name: its name; empty for ``serving_default``.

        Raises:
            StatusError: INVALID_ARGUMENT, there is no such signature.
        """
        found = self.signatures.get(name or DEFAULT_SIGNATURE)
        if found is None:
            raise no_signature(name)
        return found

    def inputs(self, signature: str) -> Mapping[str, int]:
        """Returns the inputs of a signature: alias -> ``DataType`` number, sorted by alias.

        Raises:
            StatusError: INVALID_ARGUMENT, there is no such signature.
        """
        return self.signature(signature).inputs

    def is_fast(self, signature: str = "") -> bool:
        """Returns whether recent runs of the signature have been so short that a thread for each would cost more.

        Never true before the first run, in which TensorFlow prepares the graph. Fast runs with inputs of at most 64 KiB
        run in the thread of the caller, without a time limit.
        """
        found = self.signatures.get(signature or DEFAULT_SIGNATURE)
        return found is not None and found.is_fast

    def run(
        self,
        signature: str,
        arrays: Mapping[str, Array],
        outputs: tuple[str, ...] | None = None,
        timeout_ms: int = 0,
    ) -> dict[str, Array]:
        """Runs a signature.

        Args:
            signature: its name; empty for ``serving_default``.
            arrays: one array for each input, by alias, in the dtypes of `inputs`; strings as object arrays of bytes.
            outputs: the outputs to return, all of which the signature has; None for all outputs.
            timeout_ms: longest time of the run, in milliseconds; 0 for no limit.

        Returns:
            One array for each output, by alias; read-only.

        Raises:
            StatusError: an error of the runtime, such as INVALID_ARGUMENT for a shape that does not match, or
                DEADLINE_EXCEEDED for a run that exceeds the time limit.
        """
        found = self.signature(signature)
        small = sum([array.nbytes for array in arrays.values()]) <= FAST_INPUT_BYTES
        fast = small and found.is_fast
        wanted = found.outputs if outputs is None else outputs
        start = time.perf_counter()
        try:
            results = self._run(found, arrays, wanted, None if fast else timeout_ms)
        except StatusError:
            if fast:  # slow failures move to other threads; quick failures do not make a slow model fast
                found.record_duration(time.perf_counter() - start)
            raise
        if small or not found.has_run:  # what large inputs take says nothing about small ones
            found.record_duration(time.perf_counter() - start)
        return results

    def submit(
        self,
        signature: str,
        arrays: Mapping[str, Array],
        outputs: tuple[str, ...] | None = None,
        timeout_ms: int = 0,
    ) -> Future[dict[str, Array]]:
        """Submits a run from a coroutine, to be batched with others; for servables that batch.

        A run that has started is finished even if its caller no longer waits; `close` waits for it.

        Args:
            signature: as for `run`, like the other arguments.
            arrays: one array for each input; all have the same size in dimension 0.
            outputs: the outputs to return, which also have that size in dimension 0.
            timeout_ms: longest time until the end of the run, in milliseconds; 0 for no limit.

        Returns:
            A future with the outputs, or the StatusError of the run.

        Raises:
            StatusError: INVALID_ARGUMENT, the inputs cannot be batched; UNAVAILABLE, too many requests are waiting.
        """
        raise NotImplementedError

    @abstractmethod
    def _run(
        self, signature: Signature, arrays: Mapping[str, Array], outputs: tuple[str, ...], timeout_ms: int | None
    ) -> dict[str, Array]:
        """Runs a signature for `run`; if `timeout_ms` is None, in the thread of the caller."""

    @abstractmethod
    def close(self) -> None:
        """Frees the memory. Only submitted runs can be unfinished, and no new run can be started."""
