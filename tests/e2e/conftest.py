"""Fixtures of the end-to-end tests: the engine, clients of it, and the removal of everything that a test created.

`engine` skips the tests, with one line, if no engine is available; with CI=true in the environment they fail.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

import pytest

from . import bring_up, leftovers, registry, throwaway
from .dockerd import Dockerd
from .problem import EngineUnavailableError

_HERE = Path(__file__).parent
_NO_REGISTRY = "this test needs a registry, which only an engine that these tests started has"
_OUTCOME = pytest.StashKey[bring_up.Engine | EngineUnavailableError]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker("engine")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Starts the engine before the first test, outside the time limit of any test."""
    wanted = any(_HERE in item.path.parents for item in session.items)
    if wanted and not session.config.option.collectonly:
        try:
            outcome: bring_up.Engine | EngineUnavailableError = bring_up.ensure(lambda text: _say(session, text))
        except EngineUnavailableError as problem:
            outcome = problem
        session.config.stash[_OUTCOME] = outcome


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest, unique_prefix: str) -> Iterator[bring_up.Engine]:
    """The Docker Engine, which has or can pull `tensorflow/serving`."""
    outcome = request.config.stash[_OUTCOME]
    if isinstance(outcome, EngineUnavailableError):
        _unavailable(str(outcome))
    if not outcome.own and (reason := _reason_without_image(outcome.host)):
        _unavailable(reason)
    yield outcome
    leftovers.remove(outcome.host, unique_prefix)


@pytest.fixture(scope="module")
def own_engine(engine: bring_up.Engine) -> None:
    """Skips tests that use the development image, unless the engine is that of these tests, where it is small."""
    if not engine.own:
        pytest.skip("the official development image has many gigabytes")


@pytest.fixture(scope="session")
def docker_client(engine: bring_up.Engine) -> Iterator[Any]:
    """The Docker SDK's client of `engine`."""
    import docker

    client = docker.DockerClient(base_url=engine.host)
    yield client
    client.close()


@pytest.fixture(scope="session")
def unique_prefix() -> str:
    """The start of the name, or of a label, of every container, network, volume and image of this test run."""
    return f"tfserve-test-{os.getpid()}-{secrets.token_hex(3)}-"


@pytest.fixture(scope="session")
def numbers_of_tests() -> Iterator[int]:
    """A number for each test that names something."""
    return itertools.count(1)


@pytest.fixture
def unique_name(engine: bring_up.Engine, unique_prefix: str, numbers_of_tests: Iterator[int]) -> Iterator[UniqueName]:
    """`unique_name("hint")` is a new name. Whatever has it as its name or label is removed after the test."""
    prefix = f"{unique_prefix}{next(numbers_of_tests)}-"
    numbers = itertools.count(1)
    yield lambda hint="server": f"{prefix}{next(numbers)}-{hint}"
    if next(numbers) > 1:
        leftovers.remove(engine.host, prefix)


UniqueName = Callable[..., str]
"""Returns a new name; its argument is a hint for people who read it."""


class Tfserve(Protocol):
    """Runs the command line as a user would, `tfserve("ps", "--json")`, or starts it, for tests of its signals."""

    environment: dict[str, str]
    directory: Path

    def start(self, *arguments: str | Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]: ...

    def __call__(
        self, *arguments: str | Path, timeout: float = 120, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]: ...


class _Tfserve:
    def __init__(self, environment: dict[str, str], directory: Path) -> None:
        self.environment = environment
        self.directory = directory

    def start(self, *arguments: str | Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tfserve", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**self.environment, **(env or {})},
            cwd=self.directory,
        )

    def __call__(
        self, *arguments: str | Path, timeout: float = 120, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tfserve", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**self.environment, **(env or {})},
            cwd=self.directory,
        )


@pytest.fixture
def tfserve(engine: bring_up.Engine, tmp_path: Path) -> Iterator[Tfserve]:
    """The command line as a subprocess that uses `engine`, with a home and a state directory of its own.

    Its `environment` and `directory` are for tests that start it in another way (with Popen, on a terminal). Processes
    that it leaves behind, such as servers of the local engine, are killed after the test.
    """
    home, state = tmp_path / "home", tmp_path / "state"
    home.mkdir()
    docker_config = os.environ.get("DOCKER_CONFIG", str(Path("~/.docker").expanduser()))
    private = {"HOME": str(home), "XDG_STATE_HOME": str(state)}
    run = _Tfserve({**os.environ, **private, "DOCKER_HOST": engine.host, "DOCKER_CONFIG": docker_config}, tmp_path)
    yield run
    leftovers.kill_processes(f"XDG_STATE_HOME={state}")


class StartEngine(Protocol):
    """Starts a second engine, with settings of its own, which is removed after the tests of the module."""

    def __call__(self, options: Mapping[str, object] | None = None, path: str = "") -> Dockerd: ...


@pytest.fixture(scope="module")
def start_engine(engine: bring_up.Engine) -> Iterator[StartEngine]:
    if engine.mirror is None:
        _unavailable(_NO_REGISTRY)
    mirror = engine.mirror
    with ExitStack() as started:

        def start(options: Mapping[str, object] | None = None, path: str = "") -> Dockerd:
            dockerd = throwaway.start(bring_up.STATE, bring_up.RUN, mirror, options=options, path=path)
            started.callback(throwaway.remove, dockerd)
            return dockerd

        yield start


@pytest.fixture
def throwaway_engine(engine: bring_up.Engine) -> Iterator[Dockerd]:
    """A second engine with an empty store, for one test."""
    yield from _throwaway(engine)


@pytest.fixture
def small_engine(engine: bring_up.Engine) -> Iterator[Dockerd]:
    """A second engine with an empty store on a disk of 48 MiB, for one test."""
    yield from _throwaway(engine, disk="48m")


def _throwaway(engine: bring_up.Engine, disk: str | None = None) -> Iterator[Dockerd]:
    if engine.mirror is None:
        _unavailable(_NO_REGISTRY)
    started = throwaway.start(bring_up.STATE, bring_up.RUN, engine.mirror, disk=disk)
    yield started
    throwaway.remove(started)


@dataclass(frozen=True)
class PrivateRegistry:
    """A registry on loopback that requires a login; `config` is a docker configuration with the password of `user`."""

    host: str
    user: str
    password: str
    config: Path


@pytest.fixture(scope="session")
def private_registry(engine: bring_up.Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRegistry]:
    """A registry that requires a login and is empty at first."""
    if shutil.which("docker-registry") is None:
        _unavailable("docker-registry is not installed")
    state = tmp_path_factory.mktemp("registry")
    users = state / "users"
    users.write_text("tester:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n")
    served = registry.serve(state, users=users)
    host = f"127.0.0.1:{served.port}"
    config = state / "docker"
    config.mkdir()
    auth = base64.b64encode(b"tester:secret").decode()
    (config / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    yield PrivateRegistry(host, "tester", "secret", config)
    registry.stop(state)


def _unavailable(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"on CI the end-to-end tests must run: {reason}", pytrace=False)
    pytest.skip(reason)


def _reason_without_image(host: str) -> str | None:
    """Why an engine that these tests did not start cannot serve; None if it has, or can pull, `tensorflow/serving`."""
    import docker
    from docker.errors import APIError, ImageNotFound

    client = docker.DockerClient(base_url=host, timeout=600)
    try:
        try:
            client.images.get("tensorflow/serving:latest")
        except ImageNotFound:
            client.images.pull("tensorflow/serving", tag="latest")
    except APIError as error:
        return f"the Docker Engine at {host} cannot pull tensorflow/serving: {error.explanation or error}"
    finally:
        client.close()
    return None


def _say(session: pytest.Session, text: str) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(f"engine: {text}")
