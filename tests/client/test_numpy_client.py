from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.model_server.grpc.conftest import GrpcProcess
from tests.program import Copy
from tfserve.client.failures import RefusedError, TimedOutError
from tfserve.client.numpy_client import Client
from tfserve.client.results import Class
from tfserve.defaults import Api
from tfserve.errors import RequestError, UsageError
from tfserve.protos.saved_model_pb2 import SavedModel

from .conftest import ROOT, Addresses
from .faulty_server import responding_json, stalling


@pytest.fixture(scope="module", params=["rest", "grpc"])
def client(request: pytest.FixtureRequest, server: Addresses) -> Iterator[Client]:
    """A client of a real server, for each of its two APIs."""
    address = server.url if request.param == "rest" else server.grpc
    with Client(address, model="half_plus_two", api=request.param) as client:
        yield client


@pytest.mark.parametrize(
    "inputs",
    [[1, 2], (1.0, 2.0), np.array([1, 2]), np.array([1.0, 2.0], np.float16), range(1, 3)],
)
def test_predict(client: Client, inputs: Any) -> None:
    for response in client.predict(inputs), client.predict({"x": inputs})["y"]:
        assert (response.dtype.name, response.tolist()) == ("float32", [2.5, 3.0])


def test_numbers_that_are_not_finite(client: Client) -> None:
    np.testing.assert_array_equal(client.predict([np.nan, np.inf, -np.inf]), [np.nan, np.inf, -np.inf])
    assert client.predict([0.1])[0] == np.float32(0.1) * np.float32(0.5) + np.float32(2)


def test_classify_and_regress(client: Client) -> None:
    examples: list[dict[str, Any]] = [{"x": np.float32(1.0)}, {"x": np.array([2.0])}]
    assert client.classify(examples) == [[Class("", 2.5)], [Class("", 3.0)]]
    values = client.regress(examples, signature="regress_x_to_y", context={"x2": 1.0})
    assert (values.dtype.name, values.tolist()) == ("float32", [2.5, 3.0])
    with pytest.raises(UsageError, match="several signatures for regress"):
        client.regress(examples)
    not_examples: list[Any] = [5, {"x": None}, {"x": object()}]
    for wrong in not_examples:
        with pytest.raises(UsageError):
            client.classify([wrong])
    with pytest.raises(RefusedError, match="int64"):
        client.classify([{"x": 1}])


def test_metadata_and_status(client: Client) -> None:
    assert client.metadata().version == 1
    assert [(found.version, found.state) for found in client.status()] == [(1, "AVAILABLE")]


def test_model_version_and_signature_arguments(client: Client) -> None:
    assert client.predict([1], version=1)[0] == 2.5
    with pytest.raises(RefusedError, match="7"):
        client.predict([1], version=7)
    with pytest.raises(RefusedError):
        client.predict([1], label="stable")
    with pytest.raises(UsageError, match="cannot be combined"):
        client.predict([1], version=1, label="stable")
    with pytest.raises(RefusedError, match="other"):
        client.status(model="other")
    with pytest.raises(UsageError, match="no signature 'srving_default'") as caught:
        client.predict([1], signature="srving_default")
    assert caught.value.hint == "Did you mean signature='serving_default'?"


def test_without_numpy(server_url: str) -> None:
    program = f"""
import sys
sys.modules["numpy"] = None
from tfserve.cli import build_app
from tfserve.client.numpy_client import Client
from tfserve.errors import UsageError
try:
    Client("h:1")
except UsageError as error:
    assert error.hint == "Install it: pip install numpy"
for words in ("predict half_plus_two 1", "regress half_plus_two x=1.0 -s regress_x_to_y"):
    build_app(words.split())([*words.split(), "--url", {server_url!r}], standalone_mode=False)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["x", "y", "1", "2.5", "x", "value", "1.0", "2.5"]


def test_missing_model() -> None:
    with pytest.raises(UsageError, match="No model was named"):
        Client("http://127.0.0.1:1").status()


def test_repr(server: Addresses) -> None:
    assert repr(Client("http://user:secret@h:1")) == "tfserve.Client('http://h:1', api='rest')"
    shown = f"tfserve.Client('http://{server.grpc}', model='m', api='grpc')"
    assert repr(Client(server.grpc, model="m", api="grpc")) == shown


@pytest.mark.parametrize("api", ["rest", "grpc"])
def test_timeout(api: Api) -> None:
    with stalling() as faulty, Client(faulty.url, model="m", api=api) as client:
        client.timeout = 0.2
        with pytest.raises(TimedOutError, match=r"within 0\.2 s"):
            client.predict([1])
        with pytest.raises(UsageError):
            client.timeout = 0
        assert client.timeout == 0.2


@pytest.mark.parametrize("results", ["5", "[[1]]", '[["a"]]', '"ab"'])
def test_malformed_responses(results: str) -> None:
    metadata = '{"signature_def": {"signature_def": {"serving_default": {}}}}'
    with responding_json(f'{{"results": {results}, "metadata": {metadata}}}'.encode()) as faulty:
        for method in "classify", "regress":
            with (
                Client(faulty.url, model="m") as client,
                pytest.raises(RequestError, match=f"not a valid {method} response"),
            ):
                client.metadata()
                client.close()  # the faulty server closed the connection
                getattr(client, method)([{}])


def test_versions_labels_and_signatures_that_change(copied: Copy, tmp_path: Path) -> None:
    model, config = copied("changing"), tmp_path / "models.config"
    config.write_text(f"""model_config_list {{ config {{
        name: "m" base_path: "{model}" model_platform: "tensorflow"
        model_version_policy {{ all {{}} }} version_labels {{ key: "stable" value: 1 }}
    }} }}""")
    labels = "--allow_version_labels_for_unavailable_models=true"
    flags = (f"--model_config_file={config}", "--file_system_poll_wait_seconds=1", labels)
    with GrpcProcess(tmp_path / "log", model, *flags) as process:
        process.wait_until_ready()
        addresses: tuple[tuple[str, Api], ...] = (
            (f"127.0.0.1:{process.port}", "rest"),
            (f"127.0.0.1:{process.grpc_port}", "grpc"),
        )
        clients = [Client(address, model="m", api=api) for address, api in addresses]
        for client in clients:
            assert client.predict({"x": [1.0]})["y"] == [2.5]
        rename_tensors(model)
        process.wait_for(lambda: [found.state for found in clients[0].status()] == ["AVAILABLE", "AVAILABLE"])
        for client in clients:
            assert client.predict([1.0]) == [2.5]  # the newest version, whose signature is not the known one
            assert client.predict({"number": [1.0]})["half"] == [2.5]
            with pytest.raises(UsageError, match="no input 'x'"):
                client.predict({"x": [1.0]})
            assert client.predict({"x": [1.0]}, version=1)["y"] == client.predict({"x": [1.0]}, label="stable")["y"]
            assert client.metadata(label="stable").version == 1
            client.close()


def rename_tensors(model: Path) -> None:
    """Adds a second version whose input and output have other names."""
    made = shutil.copytree(model / "1", model / ".2")
    saved_model = SavedModel.FromString((made / "saved_model.pb").read_bytes())
    signature = saved_model.meta_graphs[0].signature_def["serving_default"]
    for tensors, old, new in ((signature.inputs, "x", "number"), (signature.outputs, "y", "half")):
        tensors[new].CopyFrom(tensors[old])
        del tensors[old]
    (made / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    made.rename(model / "2")
