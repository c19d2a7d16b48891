"""What `tfserve up` decides for each server of a file, compared with servers of an engine in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engines.memory import MemoryEngine, MemoryServer
from tests.recorded_progress import RecordedProgress
from tfserve.config.read import ConfiguredServer
from tfserve.errors import SavedModelError
from tfserve.servers.launch import launch
from tfserve.servers.reconcile import Step, reconcile, reconcile_again
from tfserve.spec.gpus import GpuRequest
from tfserve.spec.model import ModelSpec
from tfserve.spec.models_config import ServedModel, to_text
from tfserve.spec.port_request import PortRequest
from tfserve.spec.serve import LaunchOptions, ServeSpec
from tfserve.spec.versions import VersionPolicy

NO_REST = PortRequest(None, explicit=True)
LATEST_TWO = VersionPolicy(2)


def spec(model: Path, **changes: Any) -> ServeSpec:
    return ServeSpec(**{"name": "m", "models": (ModelSpec(model, "m"),), "rest_port": NO_REST, **changes})


def step_of(wanted: ServeSpec, engine: str = "memory") -> Step:
    (step,) = reconcile([ConfiguredServer(wanted, LaunchOptions(engine=engine))], RecordedProgress())
    return step


def start(asked: ServeSpec) -> MemoryServer:
    server = launch(asked, LaunchOptions(engine="memory", smoke_test=False, wait_seconds=0), RecordedProgress()).server
    assert isinstance(server, MemoryServer)
    return server


def test_a_server_that_does_not_exist(memory: MemoryEngine, half_plus_two: Path) -> None:
    step = step_of(spec(half_plus_two))
    assert (step.action, step.existing, step.changed, step.why) == ("create", None, (), "")


@pytest.mark.parametrize(
    ("state", "action", "why"),
    [
        ("running", "leave", ""),
        ("restarting", "leave", ""),
        ("exited", "start", ""),
        ("dead", "start", ""),
        ("paused", "unpause", ""),
        ("created", "recreate", "it was never started"),
    ],
)
def test_an_unchanged_server(memory: MemoryEngine, half_plus_two: Path, state: str, action: str, why: str) -> None:
    server = start(spec(half_plus_two))
    memory.stored["m"] = replace(server, state=state)
    step = step_of(spec(half_plus_two))
    assert (step.action, step.why) == (action, why)
    assert step.existing == memory.stored["m"]


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ({}, {"image": "me/serving"}, ["image"]),
        ({"tag": "2.18.0"}, {"tag": "2.19.1"}, ["tag"]),
        ({"tag": "2.18.0"}, {}, ["tag"]),
        ({}, {"host": "0.0.0.0"}, ["host"]),
        ({}, {"grpc_port": PortRequest(8502, explicit=True)}, ["grpc_port"]),
        ({"grpc_port": PortRequest(8500, explicit=True)}, {}, ["grpc_port"]),  # it must not move any more
        ({}, {"memory": 2**30, "cpus": 2.0}, ["cpus", "memory"]),
        ({"restart": "always"}, {"restart": "unless-stopped"}, ["restart"]),
        ({}, {"gpus": GpuRequest(count=1)}, ["gpus"]),
        ({"batching": {"max_batch_size": 8}}, {"batching": {"max_batch_size": 16}}, ["batching"]),
        ({"batching": {}}, {}, ["batching"]),
        ({}, {"monitoring": "/metrics"}, ["monitoring"]),
        ({}, {"server_flags": ("--enable_batching=true",)}, ["server_flags"]),
        ({"environment": {"A": "1"}}, {"environment": {"A": "2"}}, ["env"]),
        ({"environment": {"A": "1"}}, {"environment": {"A": "1", "B": "2"}}, ["env"]),
        ({"environment": {"A": "1"}}, {}, ["env"]),
        ({"environment": {"A": "1"}}, {"environment": {"A": "1"}}, []),
        ({"environment": {"A": "1"}, "cpus": 1.5}, {"environment": {"A": "1"}, "cpus": 1.5}, []),
    ],
)
def test_a_changed_field(
    memory: MemoryEngine, half_plus_two: Path, before: dict[str, Any], after: dict[str, Any], changed: list[str]
) -> None:
    start(spec(half_plus_two, **before))
    step = step_of(spec(half_plus_two, **after))
    assert sorted(step.changed) == changed
    assert (step.action, step.why) == (("recreate", f"{', '.join(step.changed)} changed") if changed else ("leave", ""))


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        (lambda model: model, ()),
        (lambda model: replace(model, versions=VersionPolicy(1)), ("models",)),  # it needs a models.config now
        (lambda model: replace(model, versions=LATEST_TWO), ("models",)),
        (lambda model: replace(model, labels={"stable": 3}), ("models",)),
        (lambda model: replace(model, path=model.path / "2"), ("models",)),
        (lambda model: replace(model, name="other"), ("models",)),
    ],
)
def test_a_changed_model(
    memory: MemoryEngine,
    half_plus_n: Path,
    change: Callable[[ModelSpec], ModelSpec],
    changed: tuple[str, ...],
) -> None:
    start(spec(half_plus_n))
    assert step_of(spec(half_plus_n, models=(change(ModelSpec(half_plus_n, "m")),))).changed == changed


@pytest.mark.parametrize(
    ("served", "changed"),
    [
        ([ServedModel("m", "/models/m", LATEST_TWO, {"stable": 2})], ()),
        ([ServedModel("m", "/models/m", LATEST_TWO, {"stable": 3})], ("models",)),
        ([ServedModel("m", "/models/m", VersionPolicy(None), {"stable": 2})], ("models",)),
        ([ServedModel("n", "/models/n", LATEST_TWO, {"stable": 2})], ("models",)),
        (None, ("models",)),  # the user has written it
    ],
)
def test_models_are_compared_by_what_is_served_now(
    memory: MemoryEngine, half_plus_n: Path, served: list[ServedModel] | None, changed: tuple[str, ...]
) -> None:
    """As changed by ``tfserve models``, which does not change the label."""
    asked = spec(half_plus_n, models=(ModelSpec(half_plus_n, "m", LATEST_TWO, {"stable": 2}),))
    server = start(asked)
    assert server.config is not None
    config = "not a configuration" if served is None else to_text(served)
    memory.stored["m"] = replace(server, files={server.config: config})
    assert step_of(asked).changed == changed


@pytest.mark.parametrize(("recorded", "changed"), [(True, ("env",)), (False, ())])
def test_a_changed_secret(memory: MemoryEngine, half_plus_two: Path, recorded: bool, changed: tuple[str, ...]) -> None:
    """An engine that does not record credentials cannot tell whether one has changed."""
    start(spec(half_plus_two, environment={"AWS_SECRET_ACCESS_KEY": "old"}))
    memory.records_secrets = recorded
    if not recorded:
        memory.stored["m"] = replace(memory.stored["m"], variables={})
    assert step_of(spec(half_plus_two, environment={"AWS_SECRET_ACCESS_KEY": "new"})).changed == changed


def test_a_changed_file_of_a_flag(memory: MemoryEngine, half_plus_two: Path, tmp_path: Path) -> None:
    file = tmp_path / "ssl.config"
    file.write_text('server_key: "a"')
    asked = spec(half_plus_two, server_flags=(f"--ssl_config_file={file}",))
    start(asked)
    assert step_of(asked).action == "leave"
    file.write_text('server_key: "b"')
    assert step_of(asked).changed == ("server_flags",)


def test_a_damaged_label(memory: MemoryEngine, half_plus_two: Path) -> None:
    memory.stored["m"] = replace(start(spec(half_plus_two)), label="{")
    step = step_of(spec(half_plus_two))
    assert (step.action, step.existing) == ("recreate", memory.stored["m"])
    assert "models" in step.changed


@pytest.mark.parametrize(("engine", "changed"), [("memory", ()), ("auto", ()), ("local", ("engine",))])
def test_the_engine(memory: MemoryEngine, half_plus_two: Path, engine: str, changed: tuple[str, ...]) -> None:
    start(spec(half_plus_two))
    assert step_of(spec(half_plus_two), engine).changed == changed


def test_a_model_that_cannot_be_served(memory: MemoryEngine, half_plus_two: Path, tmp_path: Path) -> None:
    start(spec(half_plus_two))
    step = step_of(spec(tmp_path / "missing"))
    assert (step.action, step.existing) == ("fail", None)
    assert isinstance(step.error, SavedModelError)


def test_several_servers_and_a_second_look(memory: MemoryEngine, half_plus_two: Path) -> None:
    specs = [spec(half_plus_two, name=name) for name in ("a", "b")]
    start(specs[1])
    options = LaunchOptions(engine="memory")
    steps = reconcile([ConfiguredServer(each, options) for each in specs], RecordedProgress())
    assert [(step.name, step.action) for step in steps] == [("a", "create"), ("b", "leave")]
    start(specs[0])
    assert reconcile_again(steps[0], RecordedProgress()).action == "leave"
