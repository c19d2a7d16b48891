"""GPUs in containers: on engines with the nvidia runtime, with device requests only, and with neither.

On machines without a GPU, the driver's library, the runtime and the hook are stubs: a small C library, runc, and a
program that logs its calls. Everything else is real.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.free_ports import free_ports
from tests.nvidia.stub import GIB, Card, environment, for_another_cpu, real_gpu
from tfserve.host.system import this_system

from . import relay
from .bring_up import Engine
from .conftest import StartEngine, Tfserve
from .dockerd import Dockerd
from .test_dry_run import comparable

HALF_PLUS_TWO = Path(__file__).parents[2] / "examples" / "half_plus_two"
PORTS = ("--rest-port", "0", "--grpc-port", "0")
CARDS = (Card(), Card(uuid="GPU-1"))
HOOK = "nvidia-container-runtime-hook"


@dataclass(frozen=True)
class GpuEngine:
    """An engine that offers GPUs.

    Attributes:
        dockerd: the engine.
        environment: the variables of a `tfserve` that sees the GPUs and uses this engine.
        calls: the log of the calls of the runtime or hook.
        refusal: if this file exists, the hook fails with its content as the error.
    """

    dockerd: Dockerd
    environment: Mapping[str, str]
    calls: Path
    refusal: Path

    def inspect(self, name: str) -> dict[str, Any]:
        client = docker.APIClient(base_url=self.dockerd.host)
        found: dict[str, Any] = client.inspect_container(f"tfserve-{name}")
        client.close()
        return found

    def containers(self) -> list[Any]:
        client = docker.APIClient(base_url=self.dockerd.host)
        found: list[Any] = client.containers(all=True)
        client.close()
        return found


def program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def gpu(nvml: Path) -> dict[str, str]:
    """The variables of a process that sees two GPUs; empty if the machine has GPUs."""
    return {} if real_gpu() else environment(nvml, *CARDS)


@pytest.fixture(scope="module")
def with_runtime(start_engine: StartEngine, gpu: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> GpuEngine:
    """An engine with a runtime called nvidia."""
    directory = tmp_path_factory.mktemp("runtime")
    calls = directory / "calls"
    runtime = program(directory / "nvidia-container-runtime", f'echo "$@" >> {calls}\nexec runc "$@"')
    dockerd = start_engine({"runtimes": {"nvidia": {"path": str(runtime)}}})
    return GpuEngine(dockerd, {**gpu, "DOCKER_HOST": dockerd.host}, calls, directory / "refusal")


@pytest.fixture(scope="module")
def with_hook(start_engine: StartEngine, gpu: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> GpuEngine:
    """An engine that accepts device requests: the hook of the toolkit is on its PATH."""
    directory = tmp_path_factory.mktemp("hook")
    calls, refusal = directory / "calls", directory / "refusal"
    script = f"cat > /dev/null\necho called >> {calls}\nif [ -e {refusal} ]; then cat {refusal} >&2; exit 1; fi"
    program(directory / HOOK, script)
    dockerd = start_engine(path=str(directory))
    path = os.pathsep.join([str(directory), os.environ["PATH"]])
    return GpuEngine(dockerd, {**gpu, "DOCKER_HOST": dockerd.host, "PATH": path}, calls, refusal)


@pytest.fixture
def refusing(with_hook: GpuEngine) -> Iterator[Callable[[str], object]]:
    yield with_hook.refusal.write_text
    with_hook.refusal.unlink()


def test_the_nvidia_runtime_is_used_if_the_engine_has_it(with_runtime: GpuEngine, tfserve: Tfserve) -> None:
    ran = tfserve("run", HALF_PLUS_TWO, "--gpu", "--json", *PORTS, env=with_runtime.environment)
    assert ran.returncode == 0, ran.stderr
    server = json.loads(ran.stdout)
    assert (server["gpu"], server["image"]) == (True, "tensorflow/serving:latest-gpu")
    assert server["smoke_test"]["ok"]
    made = with_runtime.inspect("half_plus_two")
    assert made["HostConfig"]["Runtime"] == "nvidia"
    assert not made["HostConfig"]["DeviceRequests"]
    assert "NVIDIA_VISIBLE_DEVICES=all" in made["Config"]["Env"]
    assert "create" in with_runtime.calls.read_text()
    assert tfserve("rm", "--force", "half_plus_two", env=with_runtime.environment).returncode == 0


def test_the_ready_made_file_for_a_gpu(with_runtime: GpuEngine, tfserve: Tfserve) -> None:
    file = HALF_PLUS_TWO.parents[1] / "configs" / "gpu.yaml"
    up = tfserve("up", "-f", file, env=with_runtime.environment)
    assert up.returncode == 0, up.stderr
    made = with_runtime.inspect("half_plus_two")
    assert (made["Config"]["Image"], made["HostConfig"]["Runtime"]) == ("tensorflow/serving:latest-gpu", "nvidia")
    assert "NVIDIA_VISIBLE_DEVICES=0" in made["Config"]["Env"]
    assert "--per_process_gpu_memory_fraction=0.3" in made["Args"]
    assert tfserve("down", "-f", file, env=with_runtime.environment).returncode == 0


def test_a_device_request_is_made_without_that_runtime(with_hook: GpuEngine, tfserve: Tfserve) -> None:
    options = ("--gpus", "device=0", "--gpu-memory-fraction", "0.3")
    ran = tfserve("run", HALF_PLUS_TWO, *options, *PORTS, env=with_hook.environment)
    assert ran.returncode == 0, ran.stderr
    made = with_hook.inspect("half_plus_two")
    (request,) = made["HostConfig"]["DeviceRequests"]
    assert (request["DeviceIDs"], request["Capabilities"]) == (["0"], [["gpu"]])
    assert made["HostConfig"]["Runtime"] == "runc"
    assert "--per_process_gpu_memory_fraction=0.3" in made["Args"]
    assert "called" in with_hook.calls.read_text()
    assert tfserve("rm", "--force", "half_plus_two", env=with_hook.environment).returncode == 0


@pytest.mark.parametrize("which", ["with_runtime", "with_hook"])
@pytest.mark.parametrize("gpus", ["all", "1", "device=0", *([] if real_gpu() else ["0,1"])])
def test_the_printed_line_makes_the_same_container(
    which: str, gpus: str, tfserve: Tfserve, request: pytest.FixtureRequest
) -> None:
    engine: GpuEngine = request.getfixturevalue(which)
    rest, grpc = map(str, free_ports(2))
    ports = ("--rest-port", rest, "--grpc-port", grpc)
    arguments = ("run", HALF_PLUS_TWO, "--name", "gpu", "--gpus", gpus, "--gpu-memory-growth", *ports)
    dry = tfserve(*arguments, "--dry-run", env=engine.environment)
    assert dry.returncode == 0, dry.stderr
    assert ("--runtime=nvidia" in dry.stdout) is (which == "with_runtime")
    assert ("--gpus=" in dry.stdout) is (which == "with_hook")
    try:
        ran = tfserve(*arguments, "--wait", "0", env=engine.environment)
        assert ran.returncode == 0, ran.stderr
        by_tfserve = engine.inspect("gpu")
        assert tfserve("rm", "--force", "gpu", env=engine.environment).returncode == 0
        variables = {**os.environ, **engine.environment}
        pasted = subprocess.run(["bash", "-c", dry.stdout], capture_output=True, text=True, env=variables)
        assert pasted.returncode == 0, pasted.stderr
        assert comparable(engine.inspect("gpu")) == comparable(by_tfserve)
    finally:
        tfserve("rm", "--force", "gpu", env=engine.environment)


def test_a_gpu_is_used_by_default_and_reported(with_runtime: GpuEngine, tfserve: Tfserve) -> None:
    line = ("run", HALF_PLUS_TWO, "--engine", "docker", "--dry-run", *PORTS)
    used = tfserve(*line, env=with_runtime.environment)
    assert "--runtime=nvidia" in used.stdout
    assert "Using GPU 0 (" in used.stderr
    refused = tfserve(*line, "--no-gpu", env=with_runtime.environment)
    assert "nvidia" not in refused.stdout
    assert "tensorflow/serving:latest" in refused.stdout.split()
    assert refused.stderr == ""


def test_the_demo_needs_a_gpu(with_runtime: GpuEngine, tfserve: Tfserve) -> None:
    ran = tfserve("demo", "--gpu", env=with_runtime.environment)
    if real_gpu():
        assert ran.returncode == 0, ran.stderr
        assert "[2.5, 3.0, 4.5]" in ran.stdout
    else:
        assert ran.returncode == 7, ran.stderr
        assert "The model needs a GPU, but TensorFlow finds none, although the container was given one." in ran.stderr
        assert ran.stderr.rstrip().endswith("tfserve doctor")
    assert with_runtime.containers() == []


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (
            "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.5, please update",
            "needs cuda>=12.5",
        ),
        ("nvidia-container-cli: device error: 0: unknown device", "has no GPU 0"),
        ("nvidia-container-cli: initialization error: nvml error: driver not loaded", "no working NVIDIA driver"),
    ],
)
def test_an_error_of_the_toolkit_is_explained(
    words: str, cause: str, refusing: Callable[[str], object], with_hook: GpuEngine, tfserve: Tfserve
) -> None:
    refusing(words)
    ran = tfserve("run", HALF_PLUS_TWO, "--gpu", *PORTS, env=with_hook.environment)
    assert ran.returncode == 9, ran.stderr
    assert cause in ran.stderr
    assert ran.stderr.rstrip().endswith("tfserve doctor")
    assert with_hook.containers() == []


def test_an_engine_that_was_not_restarted_after_the_toolkit_was_installed(
    gpu: dict[str, str], with_hook: GpuEngine, tfserve: Tfserve, docker_client: Any, unique_name: Callable[[], str]
) -> None:
    name = unique_name()
    variables = {**gpu, "PATH": with_hook.environment["PATH"]}
    ran = tfserve("run", HALF_PLUS_TWO, "--name", name, "--gpu", *PORTS, env=variables)
    assert ran.returncode == 9, ran.stderr
    assert "it was started without the NVIDIA Container Toolkit" in ran.stderr
    assert this_system().restart_docker in ran.stderr
    assert "could not select device driver" in ran.stderr
    assert not docker_client.api.containers(all=True, filters={"name": name})


@pytest.mark.skipif(real_gpu(), reason="the real GPUs hide those of the stub")
@pytest.mark.parametrize(
    ("cards", "settings", "options", "words"),
    [
        (CARDS, {}, ("--gpu",), "The NVIDIA Container Toolkit is not installed"),
        (CARDS, {}, ("--gpus", "0,7"), "This machine has no GPU 7."),
        (CARDS, {}, ("--gpus", "GPU-nowhere"), "This machine has no GPU GPU-nowhere."),
        (CARDS, {}, ("--gpus", "3"), "3 GPUs were requested, but this machine has 2"),
        (CARDS, {"driver": "470.256.02"}, ("--gpu",), "470.256.02 is too old: the image has CUDA 12.5"),
        ((Card(free=GIB // 4),), {}, ("--gpu",), "is full: 79.8 of 80.0 GiB are in use"),
        ((Card(slices=("MIG-a", "MIG-b")),), {}, ("--gpu",), "as --gpus: MIG-a"),
        ((), {"error": "18"}, ("--gpu",), "driver/library version mismatch"),
        ((), {"error": "9"}, ("--gpu",), "installed but not loaded"),
        ((), {"crash": "1"}, ("--gpu",), "does not work"),
        ((), {"hang": "1"}, ("--gpu",), "The NVIDIA driver hangs: NVML did not respond within"),
    ],
)
def test_gpu_problems(
    cards: tuple[Card, ...],
    settings: dict[str, str],
    options: tuple[str, ...],
    words: str,
    nvml: Path,
    tfserve: Tfserve,
    unique_name: Callable[[], str],
    docker_client: Any,
) -> None:
    name = unique_name()
    shown = environment(nvml, *cards, **settings)
    ran = tfserve("run", HALF_PLUS_TWO, "--name", name, *options, *PORTS, env=shown)
    assert ran.returncode == 9, ran.stderr
    assert words in ran.stderr
    assert "Hint: " in ran.stderr
    assert ran.stderr.rstrip().endswith("tfserve doctor")
    assert "Traceback" not in ran.stderr
    assert not docker_client.api.containers(all=True, filters={"name": name})


@pytest.mark.skipif(real_gpu(), reason="this machine has a GPU")
@pytest.mark.parametrize("command", [("run", HALF_PLUS_TWO, *PORTS), ("demo",)])
def test_a_machine_without_a_gpu(command: tuple[str | Path, ...], tfserve: Tfserve) -> None:
    ran = tfserve(*command, "--gpu")
    assert ran.returncode == 9, ran.stderr
    assert "GPU" in ran.stderr
    assert ran.stderr.rstrip().endswith("tfserve doctor")


@pytest.mark.skipif(real_gpu(), reason="the real GPUs hide those of the stub")
def test_a_library_for_another_cpu(nvml: Path, tmp_path: Path, tfserve: Tfserve) -> None:
    foreign = {"LD_LIBRARY_PATH": str(for_another_cpu(nvml, tmp_path))}
    ran = tfserve("run", HALF_PLUS_TWO, "--gpu", *PORTS, env=foreign)
    assert ran.returncode == 9, ran.stderr
    assert "is not for this machine's CPU" in ran.stderr


@pytest.mark.skipif(real_gpu(), reason="the real GPUs hide those of the stub")
def test_a_gpu_problem_does_not_matter_if_no_gpu_is_required(nvml: Path, tfserve: Tfserve) -> None:
    shown = environment(nvml, error="18")
    ran = tfserve("run", HALF_PLUS_TWO, "--engine", "docker", "--dry-run", *PORTS, env=shown)
    assert ran.returncode == 0, ran.stderr
    assert "nvidia" not in ran.stdout
    assert ran.stderr.startswith("Serving on the CPU. The NVIDIA driver in the kernel")
    assert len(ran.stderr.splitlines()) == 1


def test_the_gpus_of_another_machine_are_not_checked(with_runtime: GpuEngine, tfserve: Tfserve) -> None:
    with relay.on_another_host(with_runtime.dockerd.host) as host:
        line = ("run", HALF_PLUS_TWO, "--host", "0.0.0.0", "--dry-run")
        ran = tfserve(*line, "--engine", "docker", "--gpus", "7,8", env={"DOCKER_HOST": host})
        by_default = tfserve(*line, env={"DOCKER_HOST": host})
    assert ran.returncode == 0, ran.stderr
    assert "--env=NVIDIA_VISIBLE_DEVICES=7,8" in ran.stdout
    assert "--runtime=nvidia" in by_default.stdout
    assert f"Using the GPUs of {relay.ANOTHER_HOST}: its Docker Engine offers them." in by_default.stderr


def test_the_fix_for_another_machine_names_that_machine(
    engine: Engine, tfserve: Tfserve, unique_name: Callable[[], str], docker_client: Any
) -> None:
    name = unique_name()
    with relay.on_another_host(engine.host) as host:
        arguments = ("run", HALF_PLUS_TWO, "--name", name, "--gpu", "--host", "0.0.0.0", *PORTS)
        ran = tfserve(*arguments, env={"DOCKER_HOST": host})
        report = tfserve("doctor", env={"DOCKER_HOST": host})
    assert ran.returncode == 9, ran.stderr
    assert f"On {relay.ANOTHER_HOST}, if it has Debian or Ubuntu:" in ran.stderr
    assert not docker_client.api.containers(all=True, filters={"name": name})
    assert f"on {relay.ANOTHER_HOST} at tcp://" in report.stdout
    assert f"The engine on {relay.ANOTHER_HOST} pulls images over its own network" in report.stdout
