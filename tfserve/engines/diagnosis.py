"""Why a server did not become ready: the usual causes, recognised by its log and by how it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from tfserve.engines.base import Diagnosis, Exit
from tfserve.engines.server_log import load_failure, message

__all__ = ["OTHER_PROGRAM", "recognise"]

OTHER_PROGRAM = (
    "Install a tensorflow_model_server for this CPU; without AVX that is tensorflow-model-server-universal: "
    "https://www.tensorflow.org/tfx/serving/setup\n"
    "Or take the one that does not run off PATH: tfserve's own server takes its place."
)


def recognise(lines: Iterable[str], ended: Exit | None, *, gpu: bool = False, local: bool = False) -> Diagnosis | None:
    """Names the cause of a failed start; None when it is not one of the known ones.

    Args:
        lines: the last lines of the server's log.
        ended: how the server ended; None when it still runs.
        gpu: whether the server was given a GPU.
        local: whether it is a process of this machine, of no image.
    """
    text = "\n".join(message(line) for line in lines)
    code = ended.code if ended else None
    if gpu and _PINNED in text:
        return _GIVEN_BUT_NOT_SEEN
    for known, diagnosis in (*(_LOCAL_CAUSES if local else ()), *_CAUSES):
        if known(text, code, bool(ended and ended.out_of_memory)):
            return diagnosis
    failed = load_failure(text.splitlines())
    if failed:
        return Diagnosis(
            failed,
            "Check the export with: tfserve inspect MODEL_DIR. What a newer TensorFlow saved may need a newer image "
            "(--tag).",
        )
    return None


def _says(*words: str) -> Callable[[str, int | None, bool], bool]:
    return lambda text, code, out_of_memory: any(word in text for word in words)


_PINNED = "Cannot assign a device for operation"
_GIVEN_BUT_NOT_SEEN = Diagnosis(
    "The model needs a GPU, and TensorFlow sees none, though the container was given one.",
    "Look for CUDA in the log above, and see whether any container sees it: docker run --rm --gpus all "
    "--entrypoint nvidia-smi tensorflow/serving:latest-gpu",
    doctor=True,
)


def _illegal_instruction(text: str, code: int | None, out_of_memory: bool) -> bool:
    return code == 132 or "Illegal instruction" in text


def _foreign_program(text: str, code: int | None, out_of_memory: bool) -> bool:
    return "exec format error" in text.lower()


_Causes: TypeAlias = tuple[tuple[Callable[[str, int | None, bool], bool], Diagnosis], ...]
_BUILT_FOR_ANOTHER = "The server was built for another CPU: it ran into an illegal instruction."
_LOCAL_CAUSES: _Causes = (
    (_illegal_instruction, Diagnosis(_BUILT_FOR_ANOTHER, OTHER_PROGRAM, doctor=True)),
    (
        _foreign_program,
        Diagnosis("The program is for another platform than this machine's.", OTHER_PROGRAM, doctor=True),
    ),
)

# The first that fits is taken, so what explains more stands before what explains less.
_CAUSES: _Causes = (
    (
        lambda text, code, out_of_memory: out_of_memory or code == 137,
        Diagnosis(
            "The server was killed (exit 137), most often because memory ran out.",
            "Give it more with --memory, free some on the machine, or serve a smaller model.",
        ),
    ),
    (
        _says("std::bad_alloc"),
        Diagnosis(
            "The server ran out of memory.",
            "Give it more with --memory, free some on the machine, or serve a smaller model.",
        ),
    ),
    (
        _illegal_instruction,
        Diagnosis(
            _BUILT_FOR_ANOTHER,
            "The official images need AVX on amd64, which QEMU emulates from 7.2 on. Build an image for this CPU, or "
            "serve without one: --engine local",
            doctor=True,
        ),
    ),
    (
        _foreign_program,
        Diagnosis(
            "The image is for another platform than this machine's (exec format error).",
            # https://docs.docker.com/build/building/multi-platform/#install-qemu-manually
            "Serve without it: --engine local\nOr emulate its platform: docker run --privileged --rm tonistiigi/binfmt "
            "--install all",
            doctor=True,
        ),
    ),
    (
        _says(_PINNED),
        Diagnosis(
            "The model needs a GPU: an operation is pinned to a device that the server does not have.",
            "Serve it with --gpu on a machine with an NVIDIA GPU, or export it again without device placement.",
            doctor=True,
        ),
    ),
    (
        _says("CUDA driver version is insufficient", "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"),
        Diagnosis(
            "The NVIDIA driver is too old for the CUDA of the image.",
            "Take an older image (--tag), or install a newer driver.",
            doctor=True,
        ),
    ),
    (
        _says("no kernel image is available for execution on the device", "CUDA_ERROR_NO_BINARY_FOR_GPU"),
        Diagnosis(
            "The image has no code for this kind of GPU: it is too old for the image, or too new.",
            "Take an image of the GPU's own time (--tag), or serve on the CPU with --no-gpu.",
        ),
    ),
    (
        _says("CUDA_ERROR_OUT_OF_MEMORY"),
        Diagnosis(
            "The GPU's memory ran out.",
            "See who uses it: nvidia-smi. Take another GPU with --gpus device=1, or less of this one with "
            "--gpu-memory-fraction.",
        ),
    ),
    (
        _says("File system scheme"),
        Diagnosis(
            "The server cannot read such an address: its TensorFlow was built without that file system.",
            "TensorFlow Serving's images read gs://, but s3:// only up to 2.6 (--tag 2.6.2). Or copy the model to this "
            "machine, and serve the copy.",
        ),
    ),
    (
        _says("HTTP response code 401", "HTTP response code 403"),
        Diagnosis(
            "The bucket does not let the server read the model.",
            "Name credentials that may read it: export GOOGLE_APPLICATION_CREDENTIALS=/path/key.json",
        ),
    ),
    (
        _says("No versions of servable"),
        Diagnosis(
            "The server sees no version of the model under its base path.",
            "The model's directory has changed, or the engine sees another one. It must hold directories named by "
            "numbers: tfserve inspect MODEL_DIR",
        ),
    ),
    (
        _says("Could not find base path"),
        Diagnosis(
            "The server does not see the model's directory.",
            "On another machine, or in Docker Desktop, the directory has to be there, or be shared.",
        ),
    ),
    (
        _says("Permission denied", "PERMISSION_DENIED"),
        Diagnosis(
            "The server may not read the model.",
            "It runs as the user who started it, or, for root, as the owner of the model; that user needs read "
            "permission on all its files.",
        ),
    ),
    (
        _says("Op type not registered", "Unknown op", "Converting GraphDef to Graph has failed"),
        Diagnosis(
            "The model uses an operation that this TensorFlow does not have.",
            "Take an image at least as new as the TensorFlow that saved the model (--tag), or one with the custom op.",
        ),
    ),
)
