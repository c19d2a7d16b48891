from __future__ import annotations

import pytest

from tfserve.engines.base import Exit
from tfserve.engines.diagnosis import recognize
from tfserve.engines.docker.causes import docker_causes
from tfserve.engines.local.causes import LOCAL_CAUSES
from tfserve.engines.server_log import is_fatal, port_was_taken

PREFIX = "E0000 00:00:1795343248.307201   22632 loader_harness.cc:131] "
FAILED = PREFIX + "Loading servable: {name: m version: 1} failed: "
NO_VERSIONS = (
    "W0000 00:00:1795343248.307201   22632 file_system_storage_path_source.cc:375] No versions of servable m found "
    "under base path /models/m. Did you forget to name your leaf directory as a number (eg. '/1/')?"
)
NO_BASE_PATH = (
    PREFIX + "FileSystemStoragePathSource encountered a filesystem access error: Could not find base path /models/m "
    "for servable m with error NOT_FOUND: /models/m not found"
)
GOOD_START = """\
I0000 00:00:1795343248.307201   22632 server.cc:77] Building single TensorFlow model file config:  model_name: m
I0000 00:00:1795343248.307201   22632 server_core.cc:516] Adding/updating models.
I0000 00:00:1795343248.307201   22632 server_core.cc:627]  (Re-)adding model: m
I0000 00:00:1795343248.307201   22640 loader_harness.cc:74] Loading servable version {name: m version: 123}
I0000 00:00:1795343248.307201   22640 loader.cc:471] SavedModel load for tags { serve }; Status: success: OK. Took 43118
I0000 00:00:1795343248.307201   22632 server.cc:423] Running gRPC ModelServer at 0.0.0.0:8500 ...
[evhttp_server.cc : 261] NET_LOG: Entering the event loop ...
unknown argument: --bacthing
"""


@pytest.mark.parametrize(
    "line",
    [
        FAILED + "OUT_OF_RANGE: Read less bytes than requested",
        NO_VERSIONS,
        NO_BASE_PATH,
        "Failed to start server. Error: UNKNOWN: 1 servable(s) did not become available",
        NO_VERSIONS.replace("W0000 00:00:1795343248.307201   22632", "2024-07-01 10:00:00.123456: W"),
    ],
)
def test_lines_that_mean_the_end(line: str) -> None:
    assert is_fatal(line)


@pytest.mark.parametrize("line", GOOD_START.splitlines())
def test_lines_of_a_good_start(line: str) -> None:
    assert not is_fatal(line)
    assert recognize([line], None) is None


@pytest.mark.parametrize(
    ("line", "exited", "cause", "hint"),
    [
        ("", Exit(137), "killed (exit code 137)", "memory="),
        ("", Exit(1, out_of_memory=True), "memory ran out", "memory="),
        ("terminate called after throwing an instance of 'std::bad_alloc'", Exit(134), "ran out of memory", "memory="),
        ("", Exit(132), "illegal instruction", "engine='local'"),
        ("Illegal instruction (core dumped)", Exit(1), "illegal instruction", "AVX"),
        ("exec /usr/bin/tf_serving_entrypoint.sh: exec format error", Exit(255), "another platform", "binfmt"),
        (FAILED + "INVALID_ARGUMENT: Cannot assign a device for operation a", None, "needs a GPU", "gpu=True"),
        ("CUDA driver version is insufficient for CUDA runtime version", None, "driver is too old", "tag="),
        ("no kernel image is available for execution on the device", None, "does not support this GPU", "gpu=False"),
        ("failed to allocate 1.00GiB: CUDA_ERROR_OUT_OF_MEMORY: out of memory", Exit(1), "ran out", "nvidia-smi"),
        (NO_VERSIONS, None, "no version", "tfserve inspect"),
        (NO_BASE_PATH, None, "does not see the model's directory", "shared"),
        (
            PREFIX
            + "FileSystemStoragePathSource encountered a filesystem access error: Could not find base path s3://b/m "
            "for servable m with error UNIMPLEMENTED: File system scheme 's3' not implemented (file: 's3://b/m')",
            None,
            "built without that file system",
            "tag='2.6.2'",
        ),
        (
            PREFIX
            + "FileSystemStoragePathSource encountered a filesystem access error: Could not find base path gs://b/m "
            "for servable m with error PERMISSION_DENIED: Error executing an HTTP request: HTTP response code 403",
            None,
            "not allowed to read the model in the bucket",
            "GOOGLE_APPLICATION_CREDENTIALS",
        ),
        (FAILED + "PERMISSION_DENIED: /models/m/1; Permission denied", None, "not allowed to read", "read permission"),
        (FAILED + "NOT_FOUND: Op type not registered 'MyOp' in binary", None, "an operation that this", "tag="),
        (FAILED + "OUT_OF_RANGE: Read less bytes.", None, "of the model 'm' cannot be loaded: OUT_OF_RANGE", "inspect"),
    ],
)
def test_causes(line: str, exited: Exit | None, cause: str, hint: str) -> None:
    found = recognize([*GOOD_START.splitlines()[:4], *([line] if line else [])], exited, first=docker_causes())
    assert found is not None
    assert cause in found.cause
    assert hint in str(found.hint)


def test_a_gpu_that_was_given_but_is_not_found() -> None:
    line = FAILED + "Cannot assign a device for operation a"
    found = recognize([line], None, gpu=True)
    assert found is not None
    assert "although the container was given one" in found.cause
    assert found.doctor


@pytest.mark.parametrize(
    ("line", "exited", "cause"),
    [("", Exit(132), "illegal instruction"), ("Exec format error", None, "The program is for another platform")],
)
def test_a_program_for_another_cpu_without_a_container(line: str, exited: Exit | None, cause: str) -> None:
    found = recognize([line], exited, first=LOCAL_CAUSES)
    assert found is not None
    assert cause in found.cause
    assert "engine=" not in str(found.hint)
    assert "tensorflow-model-server-universal" in str(found.hint)
    assert found.doctor


def test_the_cause_that_explains_more_is_found() -> None:
    found = recognize([NO_VERSIONS, FAILED + "Cannot assign a device for operation a"], Exit(137))
    assert found is not None
    assert "killed" in found.cause


@pytest.mark.parametrize("exited", [None, Exit(None), Exit(0), Exit(1), Exit(255)])
def test_an_unknown_cause(exited: Exit | None) -> None:
    assert recognize(["something else"], exited) is None
    assert recognize([], exited) is None


def test_a_port_that_was_taken() -> None:
    line = (
        "Failed to start server. Error: UNAVAILABLE: Couldn't bind address 127.0.0.1 to port 1: Address already in use"
    )
    assert port_was_taken([*GOOD_START.splitlines(), line])
    assert not port_was_taken(GOOD_START.splitlines())
