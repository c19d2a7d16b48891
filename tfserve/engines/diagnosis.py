"""Diagnoses why a server did not become ready: recognizes the usual causes by its log and by how it exited."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from tfserve.engines.base import Diagnosis, Exit
from tfserve.engines.server_log import load_failure, message
from tfserve.errors import Attribute, Wording

__all__ = [
    "BUILT_FOR_ANOTHER_CPU",
    "Causes",
    "is_denied",
    "is_exec_format_error",
    "is_illegal_instruction",
    "recognize",
]

Test: TypeAlias = Callable[[str, int | None, bool], bool]
"""Recognizes a cause by the text of the log, the exit code (None if unknown), and whether memory ran out."""

Causes: TypeAlias = tuple[tuple[Test, Diagnosis], ...]


def recognize(lines: Iterable[str], exited: Exit | None, *, gpu: bool = False, first: Causes = ()) -> Diagnosis | None:
    """Finds the cause of a failed start; None if it is not one of the known causes.

    Args:
        lines: the last lines of the server's log.
        exited: how the server exited; None if it is still running.
        gpu: whether the server was given a GPU.
        first: the causes of an engine, which are tried before the general ones.
    """
    text = "\n".join(message(line) for line in lines)
    code = exited.code if exited else None
    if gpu and _PINNED in text:
        return _GIVEN_BUT_NOT_FOUND
    for is_cause, diagnosis in (*first, *_CAUSES):
        if is_cause(text, code, bool(exited and exited.out_of_memory)):
            return diagnosis
    failure = load_failure(text.splitlines())
    if failure:
        return Diagnosis(
            failure,
            Wording(
                "Check the export with: tfserve inspect MODEL_DIR. A model from a newer TensorFlow may need a newer "
                "image ({tag})."
            ),
        )
    return None


def _contains(*words: str) -> Test:
    return lambda text, code, out_of_memory: any(word in text for word in words)


def is_illegal_instruction(text: str, code: int | None, out_of_memory: bool) -> bool:
    """Whether the CPU lacks an instruction that the server uses."""
    return code == 132 or "Illegal instruction" in text


def is_exec_format_error(text: str, code: int | None, out_of_memory: bool) -> bool:
    """Whether the program is for another platform."""
    return "exec format error" in text.lower()


def is_denied(text: str, code: int | None, out_of_memory: bool) -> bool:
    """Whether the server has no permission for something."""
    return "Permission denied" in text or "PERMISSION_DENIED" in text


BUILT_FOR_ANOTHER_CPU = "The server was built for another CPU: it stopped at an illegal instruction."
_PINNED = "Cannot assign a device for operation"
_GIVEN_BUT_NOT_FOUND = Diagnosis(
    "The model needs a GPU, but TensorFlow finds none, although the container was given one.",
    "Look for CUDA in the log above, and check whether any container finds the GPU: docker run --rm --gpus all "
    "--entrypoint nvidia-smi tensorflow/serving:latest-gpu",
    doctor=True,
)
_MORE_MEMORY = Wording("Raise {memory}, free memory on the machine, or serve a smaller model.")
_NO_GPU = Attribute("gpu", value=False)

# The first match is used, so causes that explain more come before those that explain less.
_CAUSES: Causes = (
    (
        lambda text, code, out_of_memory: out_of_memory or code == 137,
        Diagnosis("The server was killed (exit code 137), probably because memory ran out.", _MORE_MEMORY),
    ),
    (_contains("std::bad_alloc"), Diagnosis("The server ran out of memory.", _MORE_MEMORY)),
    (
        _contains(_PINNED),
        Diagnosis(
            "The model needs a GPU: an operation is pinned to a device that the server does not have.",
            Wording(
                "Serve it with {gpu} on a machine with an NVIDIA GPU, or export it again without device placement.",
                gpu=Attribute("gpu", value=True),
            ),
            doctor=True,
        ),
    ),
    (
        _contains("CUDA driver version is insufficient", "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"),
        Diagnosis(
            "The NVIDIA driver is too old for the CUDA version of the image.",
            Wording("Use an older image ({tag}), or install a newer driver."),
            doctor=True,
        ),
    ),
    (
        _contains("no kernel image is available for execution on the device", "CUDA_ERROR_NO_BINARY_FOR_GPU"),
        Diagnosis(
            "The image does not support this GPU, which is too old or too new for it.",
            Wording("Use an image from the time of the GPU ({tag}), or serve on the CPU: {no_gpu}", no_gpu=_NO_GPU),
        ),
    ),
    (
        _contains("CUDA_ERROR_OUT_OF_MEMORY"),
        Diagnosis(
            "The GPU's memory ran out.",
            Wording(
                "See which processes use it: nvidia-smi. Use another GPU ({one}), or less memory of this one "
                "({gpu_memory_fraction}).",
                one=Attribute("gpus", "device=1"),
            ),
        ),
    ),
    (
        _contains("File system scheme"),
        Diagnosis(
            "The server cannot read addresses of this kind: its TensorFlow was built without that file system.",
            Wording(
                "The official images read gs://, but s3:// only up to version 2.6 ({tag}). Or copy the model to this "
                "machine and serve the copy.",
                tag=Attribute("tag", "2.6.2"),
            ),
        ),
    ),
    (
        _contains("HTTP response code 401", "HTTP response code 403"),
        Diagnosis(
            "The server is not allowed to read the model in the bucket.",
            "Provide credentials that may read it: export GOOGLE_APPLICATION_CREDENTIALS=/path/key.json",
        ),
    ),
    (
        _contains("No versions of servable"),
        Diagnosis(
            "The server finds no version of the model under its base path.",
            "The model's directory has changed, or the engine sees a different one. It must contain directories whose "
            "names are numbers: tfserve inspect MODEL_DIR",
        ),
    ),
    (
        _contains("Could not find base path"),
        Diagnosis(
            "The server does not see the model's directory.",
            "On another machine, or in Docker Desktop, the directory must exist there or be shared.",
        ),
    ),
    (
        is_denied,
        Diagnosis(
            "The server is not allowed to read the model.",
            "It runs as the user who started it or, for root, as the owner of the model. That user needs read "
            "permission for all files of the model.",
        ),
    ),
    (
        _contains("Op type not registered", "Unknown op", "Converting GraphDef to Graph has failed"),
        Diagnosis(
            "The model uses an operation that this TensorFlow does not have.",
            Wording(
                "Use an image that is at least as new as the TensorFlow that saved the model ({tag}), or one with the "
                "custom operation."
            ),
        ),
    ),
)
