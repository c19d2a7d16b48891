"""The Python API with real servers of the local engine."""

from __future__ import annotations

import doctest
import inspect
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfserve
from tests.program import Program
from tests.servers import serve_options
from tfserve.client import numpy_client
from tfserve.client.failures import NotListeningError
from tfserve.errors import NameTakenError, SavedModelError, TfserveError, UsageError
from tfserve.servers import python_api as serving
from tfserve.servers.python_api import RunningServer
from tfserve.spec.fields import FIELDS
from tfserve.spec.model import ModelSpec
from tfserve.spec.versions import VersionPolicy

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of the servers of this module; Docker is not reachable."""
    home = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(home))
        patch.setenv("DOCKER_HOST", f"unix://{home}/no-docker.sock")
        yield home / "tfserve" / "servers"


@pytest.fixture(scope="module")
def server(state: Path, half_plus_two: Path) -> Iterator[RunningServer]:
    """A server for all tests that only send requests."""
    with tfserve.serve(half_plus_two, name="shared", engine="local", environment={"GREETING": "a=b"}) as server:
        yield server


def test_a_server_is_a_client(server: RunningServer) -> None:
    answer = server.predict([1, 2, 5])
    assert (answer.dtype.name, answer.tolist()) == ("float32", [2.5, 3.0, 4.5])
    assert (server.name, server.engine, server.models) == ("shared", "local", ("half_plus_two",))
    assert server.status()[0].state == "AVAILABLE"
    assert any("Entering the event loop" in line for line in server.logs())
    assert len(list(server.logs(tail=1))) == 1
    over_grpc = tfserve.Client(str(server.grpc_address), model="half_plus_two", api="grpc")
    with over_grpc:
        np.testing.assert_array_equal(over_grpc.predict([1, 2, 5]), answer)


def test_repr(server: RunningServer) -> None:
    assert repr(server) == f"<tfserve server 'shared' (local): {server.rest_url}>"


def test_examples_in_docstrings(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    given = {"tfserve": tfserve, "url": server.rest_url}
    for module in (serving, numpy_client):
        client = tfserve.Client(str(server.rest_url), model="half_plus_two")
        result = doctest.testmod(module, extraglobs={**given, "client": client})
        assert result.attempted
        assert not result.failed


def test_several_models(state: Path, half_plus_two: Path) -> None:
    models = {"a": half_plus_two, "b": half_plus_two / "1"}
    with tfserve.serve(models, engine="local", batching={"allowed_batch_sizes": [2, 8], "max_batch_size": 8}) as server:
        assert server.models == ("a", "b")
        assert server.predict([1.0]).tolist() == server.predict([1.0], model="b").tolist() == [2.5]


def test_model_arguments(half_plus_two: Path) -> None:
    path = str(half_plus_two)
    assert serving._models([path, path], None, {}) == (ModelSpec(half_plus_two, "half_plus_two"),) * 2
    fields = {"name": "m", "versions": "latest=2", "labels": {"stable": 1}, "sha256": "0" * 64}
    assert serving._models(path, None, fields) == (
        ModelSpec(half_plus_two, "m", VersionPolicy(2), {"stable": 1}, "0" * 64),
    )
    assert serving._models(None, None, {"name": None}) == ()


def test_name_is_taken(server: RunningServer, half_plus_two: Path) -> None:
    with pytest.raises(NameTakenError):
        tfserve.serve(half_plus_two, name="shared", engine="local")
    assert server.predict([1.0])


def test_server_is_removed_after_errors(state: Path, half_plus_two: Path) -> None:
    with pytest.raises(ZeroDivisionError), tfserve.serve(half_plus_two, engine="local", api="grpc") as server:
        assert (state / server.name).is_dir()
        assert server.name.startswith("half_plus_two-")
        raise ZeroDivisionError
    assert not (state / server.name).exists()
    assert repr(server) == f"<tfserve server {server.name!r} (local, removed): {server.rest_url}>"
    server.close()
    with pytest.raises(NotListeningError):
        server.predict([1.0])


@pytest.mark.parametrize("ending", ["exits", "interrupted"])
def test_servers_are_removed_when_the_program_ends(ending: str, tfserve: Program, half_plus_two: Path) -> None:
    program = f"""
import os, sys, time, tfserve
server = tfserve.serve({str(half_plus_two)!r}, engine="local")
if os.fork() == 0:
    sys.exit()  # the exit of a child process does not remove the server
os.wait()
print(server.predict([1.0]), flush=True)
time.sleep({0 if ending == "exits" else 60})
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=tfserve.environment, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "[2.5]\n"
        assert ending == "exits" or tfserve.server_names()
        if ending == "interrupted":
            process.send_signal(signal.SIGINT)
        assert process.wait(20) == (0 if ending == "exits" else -signal.SIGINT)
    assert not tfserve.server_names()
    assert not tfserve.processes()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"rest_port": 70000}, UsageError, "'70000' is not a port"),
        ({"rest_port": None, "grpc_port": None}, UsageError, "rest_port=, which is not published"),
        ({"grpc_port": None, "api": "grpc"}, UsageError, "grpc_port=, which is not published"),
        ({"memory": "lots"}, UsageError, "lots"),
        ({"memory": "1g", "engine": "local"}, TfserveError, "memory"),
        ({"environment": {"MODEL_NAME": "x"}}, UsageError, "MODEL_NAME is set by tfserve"),
        ({"server_flags": ["--enable_batchin=true"]}, UsageError, "no flag --enable_batchin"),
        ({"name": "a b"}, UsageError, "'a b' is not a server name"),
        ({"model_name": "a/b"}, UsageError, "'a/b' is not a model name"),
        ({"api": "x"}, UsageError, "api='x' is not an API"),
        ({"name": 1.5j}, UsageError, "Expected text for name="),
        ({"model": 1}, UsageError, "a mapping of names to paths for model="),
        ({"versions": {"m": 1}}, UsageError, "for versions=, found a mapping"),
        ({"labels": ["a=1"]}, UsageError, "Expected a mapping of labels to version numbers for labels=, found a list"),
        ({"gpu": "true"}, UsageError, "Expected true or false for gpu="),
        ({"environment": {"A": "\ud800"}}, UsageError, "The value of A contains text that cannot be encoded"),
        ({"timeout": 0}, UsageError, "timeout"),
        ({"host": "nowhere"}, UsageError, "nowhere"),
        ({"wait_seconds": -1}, UsageError, "-1"),
        ({"model": "/nowhere"}, SavedModelError, "There is no model"),
        ({"model": None}, UsageError, "There is no model to serve"),
        ({"model": {}, "versions": "all"}, UsageError, "can only be used with a single model"),
        ({"config": "models.config"}, UsageError, "model= and config= cannot be combined"),
        ({"versions": "some"}, UsageError, "is not a valid choice of versions"),
        ({"labels": {"a b": 1}}, UsageError, "is not a label of a version"),
        ({"batching": {"max_bacth_size": 1}}, UsageError, "There is no field 'max_bacth_size'"),
        (
            {"monitoring": "metrics"},
            UsageError,
            "Expected true, false, or a URL path for monitoring=",
        ),
    ],
)
def test_invalid_options(
    state: Path, half_plus_two: Path, options: dict[str, Any], error: type[TfserveError], words: str
) -> None:
    with pytest.raises(error, match=words):
        tfserve.serve(**{"model": half_plus_two, "engine": "local", "name": "bad", **options})
    assert not (state / "bad").exists()


def test_every_field_is_an_argument() -> None:
    parameters = set(inspect.signature(tfserve.serve).parameters)
    fields = {field.attribute for field in FIELDS if field.python}
    assert fields < parameters
    assert all(f"        {name}: " in str(tfserve.serve.__doc__) for name in parameters)
    assert "        cpus: CPU limit" in str(tfserve.serve.__doc__)
    assert "        memory: memory limit" in str(tfserve.serve.__doc__)
    with pytest.raises(TypeError, match=r"no parameter 'rest_prot'\. Did you mean rest_port\?"):
        tfserve.serve("m", rest_prot=1)  # type: ignore[call-arg]  # the tested mistake


def test_types_of_the_arguments() -> None:
    assert serve_options.FILE.read_text(encoding="utf-8") == serve_options.source()


def test_imports_are_lazy() -> None:
    program = """
import json, sys
before = set(sys.modules)
import tfserve
assert {"serve", "Client", "__version__"} <= set(dir(tfserve))
try:
    tfserve.no_such_thing
except AttributeError:
    print(json.dumps(sorted(set(sys.modules) - before)))
"""
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = json.loads(done.stdout)
    assert [name for name in loaded if name.startswith("tfserve.")] == ["tfserve._version"]
    assert "numpy" not in loaded


def test_tracebacks_contain_hints() -> None:
    error = UsageError("This is wrong.", hint="Do that.", details="a\nb")
    assert error.__notes__ == ["a\nb", "Hint: Do that."]
    assert UsageError("This is wrong.").__notes__ == []
