"""One loaded version of a model, whatever runs it: its signatures, and how long running them takes."""

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
"""How long a run of a fast signature takes at most, on average."""

FAST_INPUT_BYTES = 1 << 16
"""Size of the largest inputs with which a run may be fast."""


class Signature:
    """A signature of a loaded model.

    Args:
        definition: as it stands in the SavedModel.

    Attributes:
        definition: the same.
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
        """Whether runs have lately been short; never true before the first one."""
        return self._seconds is not None and self._seconds < FAST_SECONDS

    def note_duration(self, seconds: float) -> None:
        """Takes a run into the average."""
        if self._seconds is None:
            # The first run also prepares the graph, so that it took long says nothing about the next one.
            self._seconds = min(seconds, FAST_SECONDS)
        else:
            # Down faster than up: what makes a short run look long is other work at the same time.
            weight = 0.5 if seconds < self._seconds else 0.2
            self._seconds += weight * (seconds - self._seconds)


class Servable(ABC):
    """A model in memory, ready to run from any thread.

    Attributes:
        name: the model's name.
        version: its version, a number.
        signatures: by name.
        checks_methods: whether signatures only answer the APIs that the method they name stands for.
        batches: whether requests run together, and so have to be handed in with `submit`.
    """

    name: str
    version: int
    signatures: Mapping[str, Signature]
    checks_methods: bool = False
    batches: bool = False

    def signature(self, name: str) -> Signature:
        """Returns a signature.

        Args:
            name: its name; empty stands for ``serving_default``.

        Raises:
            StatusError: INVALID_ARGUMENT, there is no such signature.
        """
        found = self.signatures.get(name or DEFAULT_SIGNATURE)
        if found is None:
            raise invalid_argument(f'Serving signature name: "{name or DEFAULT_SIGNATURE}" not found in signature def')
        return found

    def inputs(self, signature: str) -> Mapping[str, int]:
        """Returns the inputs of a signature: alias -> ``DataType`` number, sorted by alias.

        Raises:
            StatusError: INVALID_ARGUMENT, there is no such signature.
        """
        return self.signature(signature).inputs

    def is_fast(self, signature: str = "") -> bool:
        """Returns whether runs of the signature have lately been so short that a thread of their own would cost more.

        Never true before the first run, in which TensorFlow still prepares the graph. Fast runs with small inputs, of
        64 KiB at most, stay in the thread that asks for them, without a time limit.
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
            signature: its name; empty stands for ``serving_default``.
            arrays: one array for each input, by alias, in the dtypes of `inputs`; strings as object arrays of bytes.
            outputs: the outputs wanted, each of which the signature has; None for all.
            timeout_ms: longest time of the run, in milliseconds; 0 for no limit.

        Returns:
            One array for each output, by alias; read-only.

        Raises:
            StatusError: what the runtime said, such as INVALID_ARGUMENT for a shape that does not fit, or
                DEADLINE_EXCEEDED for a run past the time limit.
        """
        found = self.signature(signature)
        fast = found.is_fast and sum([array.nbytes for array in arrays.values()]) <= FAST_INPUT_BYTES
        wanted = found.outputs if outputs is None else outputs
        start = time.perf_counter()
        try:
            results = self._run(found, arrays, wanted, None if fast else timeout_ms)
        except StatusError:
            if fast:  # a slow failure must not stay in the caller's thread; a quick one makes no slow model fast
                found.note_duration(time.perf_counter() - start)
            raise
        found.note_duration(time.perf_counter() - start)
        return results

    def submit(
        self,
        signature: str,
        arrays: Mapping[str, Array],
        outputs: tuple[str, ...] | None = None,
        timeout_ms: int = 0,
    ) -> Future[dict[str, Array]]:
        """Hands a run in, from a coroutine, to take place together with others; for servables that batch.

        It takes place though nobody may await it any more; `close` waits for it.

        Args:
            signature: as for `run`, like all of these.
            arrays: of the same size in dimension 0.
            outputs: the outputs wanted, which have that size too.
            timeout_ms: longest time until the end of the run.

        Returns:
            What to await. It raises what goes wrong from here on.

        Raises:
            StatusError: INVALID_ARGUMENT for inputs that cannot be batched; UNAVAILABLE when too many wait.
        """
        raise NotImplementedError

    @abstractmethod
    def _run(
        self, signature: Signature, arrays: Mapping[str, Array], outputs: tuple[str, ...], timeout_ms: int | None
    ) -> dict[str, Array]:
        """Runs a signature for `run`; with `timeout_ms` None, in the thread of the caller."""

    @abstractmethod
    def close(self) -> None:
        """Frees its memory. Nothing may run, or run again, but for what was submitted."""
