"""What a launch does, and what it leaves behind however it ends, on an engine in memory."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.engines.memory import READY, MemoryEngine
from tests.recorded_progress import RecordedProgress
from tfserve.engines.conflicts import name_taken, port_taken
from tfserve.errors import GpuError, ImageError, NameTakenError, NotReadyError, PortTakenError, TfserveError
from tfserve.servers.launch import launch, planned, restart
from tfserve.spec.model import ModelSpec
from tfserve.spec.port_request import PortRequest
from tfserve.spec.serve import LaunchOptions, ServeSpec

NO_REST = PortRequest(None, explicit=True)
BROKEN = "Loading servable: {name: m version: 1} failed: NOT_FOUND: no such file"


def spec(model: Path, **changes: Any) -> ServeSpec:
    return ServeSpec(**{"name": "m", "models": (ModelSpec(model, "m"),), "rest_port": NO_REST, **changes})


def options(**changes: Any) -> LaunchOptions:
    return LaunchOptions(**{"engine": "memory", "smoke_test": False, **changes})


@pytest.mark.parametrize(
    ("changes", "events"),
    [
        ({}, ["prepare m", "plan m", "launch m"]),
        ({"wait_seconds": 0}, ["prepare m", "plan m", "launch m"]),
        ({"replace": True}, ["prepare m", "plan m", "launch m"]),
        ({"engine": "auto"}, ["prepare m", "plan m", "launch m"]),
    ],
)
def test_a_server_that_becomes_ready(
    memory: MemoryEngine, half_plus_two: Path, changes: dict[str, Any], events: list[str]
) -> None:
    launched = launch(spec(half_plus_two), options(**changes), RecordedProgress())
    assert memory.servers() == [launched.server]
    assert launched.smoke_test is None
    assert memory.events == events


@pytest.mark.parametrize(
    ("changes", "more", "suggested"),
    [
        ({}, {}, True),
        ({"keep_failed": True}, {}, False),
        ({"replace": True}, {}, False),  # cannot be combined with it
        ({}, {"suggest_keep_failed": False}, False),
    ],
)
def test_keep_failed_is_suggested(
    memory: MemoryEngine, half_plus_two: Path, changes: dict[str, Any], more: dict[str, Any], suggested: bool
) -> None:
    memory.log = ()
    with pytest.raises(NotReadyError, match="before it was ready") as caught:
        launch(spec(half_plus_two), options(**changes), RecordedProgress(), **more)
    assert ("keep_failed= keeps a failed server." in str(caught.value.hint)) == suggested


@pytest.mark.parametrize(
    ("log", "changes", "error", "left"),
    [
        ((BROKEN,), {}, NotReadyError, []),
        ((BROKEN,), {"keep_failed": True}, NotReadyError, ["m"]),
        ((), {}, NotReadyError, []),
        (("ddress already in use",), {"keep_failed": True}, PortTakenError, []),  # it could not be started again
        ((BROKEN,), {"wait_seconds": 0}, None, ["m"]),
    ],
)
def test_a_server_that_does_not_become_ready(
    memory: MemoryEngine,
    half_plus_two: Path,
    log: tuple[str, ...],
    changes: dict[str, Any],
    error: type[TfserveError] | None,
    left: list[str],
) -> None:
    memory.log = log
    if error is None:
        launch(spec(half_plus_two), options(**changes), RecordedProgress())
    else:
        fixed = spec(half_plus_two, grpc_port=PortRequest(8500, explicit=True))
        with pytest.raises(error):
            launch(fixed, options(**changes), RecordedProgress())
    assert [server.name for server in memory.servers()] == left


@pytest.mark.parametrize(
    "refusal", [ImageError("No image."), GpuError("No GPU."), NotReadyError("Not started."), name_taken("m")]
)
def test_an_engine_that_refuses(memory: MemoryEngine, half_plus_two: Path, refusal: TfserveError) -> None:
    memory.refusals = [refusal]
    with pytest.raises(type(refusal)) as caught:
        launch(spec(half_plus_two), options(), RecordedProgress())
    assert caught.value is refusal
    assert memory.servers() == []


@pytest.mark.parametrize(
    ("explicit", "refusals", "launches", "succeeds"),
    [
        (False, 0, 1, True),
        (False, 1, 2, True),
        (False, 3, 4, True),
        (False, 4, 4, False),
        (True, 1, 1, False),
    ],
)
def test_a_port_that_is_taken_in_the_meantime(
    memory: MemoryEngine, half_plus_two: Path, explicit: bool, refusals: int, launches: int, succeeds: bool
) -> None:
    memory.refusals = [port_taken() for _ in range(refusals)]
    progress = RecordedProgress()
    requested = spec(half_plus_two, grpc_port=PortRequest(8500, explicit))
    if succeeds:
        launch(requested, options(), progress)
        (plan,) = memory.plans
        assert plan.grpc is not None
        assert plan.grpc.host_port == (0 if refusals else 8500)  # 0 lets the engine choose
        assert progress.notices == ["Port 8500 is taken; gRPC uses another one."] * refusals
    else:
        with pytest.raises(PortTakenError):
            launch(requested, options(), progress)
    assert memory.events.count("launch m") == launches


def test_a_name_that_is_taken(memory: MemoryEngine, half_plus_two: Path) -> None:
    first = launch(spec(half_plus_two), options(), RecordedProgress()).server
    memory.events.clear()
    with pytest.raises(NameTakenError, match="'m' is taken"):
        launch(spec(half_plus_two), options(), RecordedProgress())
    assert memory.servers() == [first]
    assert memory.events == []


@pytest.mark.parametrize("running", [True, False])
def test_replace(memory: MemoryEngine, half_plus_two: Path, running: bool) -> None:
    old = launch(spec(half_plus_two), options(), RecordedProgress()).server
    if not running:
        old.stop(grace=0)
    memory.events.clear()
    new = launch(spec(half_plus_two), options(replace=True), RecordedProgress()).server
    assert memory.servers() == [new]
    assert memory.events == ["prepare m", "plan m", "suspend m", "plan m", "launch m", "remove m.suspended"]


@pytest.mark.parametrize(
    ("event", "error", "events"),
    [
        ("prepare", ImageError("No image."), ["prepare m"]),
        ("plan", ImageError("No image."), ["prepare m", "plan m"]),
        ("suspend", NameTakenError("Taken."), ["prepare m", "plan m", "suspend m"]),
        ("launch", GpuError("No GPU."), ["prepare m", "plan m", "suspend m", "plan m", "launch m", "restore m"]),
        ("launch", KeyboardInterrupt(), ["prepare m", "plan m", "suspend m", "plan m", "launch m", "restore m"]),
    ],
)
def test_a_server_comes_back_if_its_successor_fails(
    memory: MemoryEngine, half_plus_two: Path, event: str, error: BaseException, events: list[str]
) -> None:
    """What can fail before the old server is stopped does so while it is still running."""
    old = launch(spec(half_plus_two), options(), RecordedProgress()).server
    memory.events.clear()
    memory.failures = {event: error}
    with pytest.raises(type(error)):
        launch(spec(half_plus_two), options(replace=True), RecordedProgress())
    assert memory.events == events
    assert memory.servers() == [old]


@pytest.mark.parametrize(
    ("event", "notice"),
    [
        ("restore", "The previous server could not be restored: It hangs."),
        ("remove", "The previous server was not removed completely."),
    ],
)
def test_what_cannot_be_cleaned_up_is_reported(
    memory: MemoryEngine, half_plus_two: Path, event: str, notice: str
) -> None:
    launch(spec(half_plus_two), options(), RecordedProgress())
    progress = RecordedProgress()
    memory.failures = {event: TfserveError("It hangs.")}
    if event == "restore":
        memory.refusals = [ImageError("No image.")]
        with pytest.raises(ImageError):
            launch(spec(half_plus_two), options(replace=True), progress)
    else:
        launch(spec(half_plus_two), options(replace=True), progress)
    assert progress.notices[0].startswith(notice)


def test_a_failed_server_that_cannot_be_removed(memory: MemoryEngine, half_plus_two: Path) -> None:
    """The error that matters is that of the launch."""
    memory.log = (BROKEN,)
    memory.failures = {"remove": TfserveError("It hangs.")}
    with pytest.raises(NotReadyError, match="NOT_FOUND"):
        launch(spec(half_plus_two), options(), RecordedProgress())


@pytest.mark.parametrize("replace", [False, True])
def test_a_plan_changes_nothing(memory: MemoryEngine, half_plus_two: Path, replace: bool) -> None:
    launch(spec(half_plus_two), options(), RecordedProgress())
    memory.events.clear()
    with planned(spec(half_plus_two), "memory", RecordedProgress(), replace=replace) as (plan, line):
        assert plan.name == "m"
        assert "--name=tfserve-m" in line
    assert memory.events == ["prepare m", "plan m"]


def test_plans_name_different_ports(memory: MemoryEngine, half_plus_two: Path) -> None:
    progress = RecordedProgress()
    for _ in range(2):
        with ExitStack() as stack:
            for name in "ab":
                stack.enter_context(planned(spec(half_plus_two, name=name), "memory", progress))
    assert progress.notices == ["Port 8500 is taken; gRPC uses another one."] * 2


@pytest.mark.parametrize(("log", "ready"), [((READY,), True), ((BROKEN,), False)])
def test_restart(memory: MemoryEngine, half_plus_two: Path, log: tuple[str, ...], ready: bool) -> None:
    memory.log = log
    server = launch(spec(half_plus_two), options(wait_seconds=0), RecordedProgress()).server
    server.stop(grace=0)
    if ready:
        restart(server, wait_seconds=5, progress=RecordedProgress())
    else:
        with pytest.raises(NotReadyError):
            restart(server, wait_seconds=5, progress=RecordedProgress())
    assert [server.name for server in memory.servers()] == ["m"]  # one that fails is kept
