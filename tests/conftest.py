"""Fixtures that many tests use: the bundled model, broken copies of it, and the program with its own home directory."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.nvidia import stub
from tests.program import Plan, Program
from tests.signals import no_ignored_signals
from tfserve.engines.local.engine import LocalEngine
from tfserve.plan.launch_plan import LaunchPlan

# A busy machine must not make a property test fail.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


@pytest.fixture(scope="session", autouse=True)
def default_signals() -> Iterator[None]:
    """Lets the programs that tests start receive signals, also under ``nohup`` and in a background job."""
    with no_ignored_signals():
        yield


@pytest.fixture(scope="session")
def half_plus_two() -> Path:
    """The base path of the bundled model. Do not change it."""
    return EXAMPLES / "half_plus_two"


@pytest.fixture(scope="session")
def half_plus_n() -> Path:
    """The base path of a model whose version N, 2 or 3, computes 0.5 * x + N. Do not change it."""
    return EXAMPLES / "half_plus_n"


@pytest.fixture
def copied(half_plus_two: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Copies the bundled model to a base path with the given name, which the test may change."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(half_plus_two, tmp_path / name))

    return copy


@pytest.fixture
def unloadable(copied: Callable[[str], Path]) -> Path:
    """A model with a valid ``saved_model.pb`` and truncated variables."""
    model = copied("unloadable")
    variables = model / "1" / "variables" / "variables.data-00000-of-00001"
    variables.write_bytes(variables.read_bytes()[:5])
    return model


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB. Only root can mount one."""
    yield from _mounted(tmp_path / "small", "size=256k")


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A directory that not even root can write to."""
    path = tmp_path / "read-only"
    if os.geteuid() == 0:
        yield from _mounted(path, "ro")
        return
    path.mkdir(mode=0o500)
    yield path


def _mounted(path: Path, options: str) -> Iterator[Path]:
    path.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot mount a file system: {done.stderr.strip()}")
    yield path
    subprocess.run(["umount", path], check=True)


@pytest.fixture
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory of this test's own, for code that runs in this process."""
    path = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(path))
    return path


@pytest.fixture
def engine(state_home: Path) -> Iterator[LocalEngine]:
    """A local engine with a state directory of its own; its servers are removed after the test."""
    engine = LocalEngine()
    yield engine
    for server in engine.servers():
        server.remove()


@pytest.fixture(scope="session")
def python_plan() -> Plan:
    """Makes the plan of a server that runs a piece of Python, which starts faster than a model server."""

    def plan(program: str = "import time; time.sleep(60)", *, name: str = "m", **changes: Any) -> LaunchPlan:
        command = (sys.executable, "-S", "-c", program)
        plain = LaunchPlan(name, ("m",), (), rest=None, grpc=None, environment={}, command=command)
        return dataclasses.replace(plain, **changes)

    return plan


@pytest.fixture(scope="session")
def nvml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a stub of NVIDIA's driver library."""
    return stub.build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def tfserve(tmp_path: Path) -> Iterator[Program]:
    """The program, with a home directory and servers of this test's own. They are removed after the test."""
    yield from _program(tmp_path / "home")


@pytest.fixture(scope="module")
def shared_tfserve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The program, with servers that the tests of a module share. They are removed after the last of these tests."""
    yield from _program(tmp_path_factory.mktemp("home"))


def _program(home: Path) -> Iterator[Program]:
    home.mkdir(exist_ok=True)
    program = Program(home)
    yield program
    program.clean_up()


@pytest.fixture
def make_deep() -> Iterator[Callable[..., None]]:
    """Makes a directory in a directory, and so on, with a file in each; what the test leaves of them is removed.

    Python's own removal, which pytest uses later, fails on them, and so would all later runs.
    """
    made: list[Path] = []

    def make(top: Path, depth: int, name: str = "d") -> None:
        made.append(top)
        top.mkdir(mode=0o700)
        above = os.open(top, os.O_RDONLY)
        for _ in range(depth):
            os.close(os.open("file", os.O_CREAT, 0o600, dir_fd=above))
            os.mkdir(name, dir_fd=above)
            below = os.open(name, os.O_RDONLY, dir_fd=above)
            os.close(above)
            above = below
        os.close(above)

    yield make
    if left := [top for top in made if top.exists()]:
        subprocess.run(["rm", "-rf", *left], check=True)
