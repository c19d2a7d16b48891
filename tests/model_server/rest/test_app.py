from __future__ import annotations

import asyncio
import gzip
import json
import shutil
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model_server.server_process import PATIENCE, ServerProcess
from tests.program import eventually
from tfserve.model_server.inference.dispatcher import Dispatcher
from tfserve.model_server.models.manager import Manager, ManagerOptions, ModelConfig
from tfserve.model_server.rest.app import RestApp
from tfserve.model_server.rest.bodies import Bodies
from tfserve.model_server.rest.limits import Limits
from tfserve.model_server.rest.parser_pool import ParserPool
from tfserve.model_server.runtime.session import LoadOptions
from tfserve.protos.meta_graphs import read_meta_graphs
from tfserve.protos.saved_model_pb2 import SignatureDef


def hold(directory: Path) -> tuple[dict[str, Any], Path, Path]:
    """Returns a request to the model ``zoo``, the file that its run makes, and the file that ends the run."""
    started, go = directory / "started", directory / "go"
    return {"signature_name": "hold", "inputs": {"started": str(started), "go": str(go)}}, started, go


def test_predict_as_in_the_guide(server: ServerProcess) -> None:
    answer = server.predict({"instances": [1.0, 2.0, 5.0]})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.text == '{\n    "predictions": [2.5, 3.0, 4.5\n    ]\n}'


@pytest.mark.parametrize(
    ("path", "body", "key", "values"),
    [
        (":predict", {"instances": [[1.0], [2.0]]}, "predictions", [[2.5], [3.0]]),
        (":predict", {"instances": [{"x": 1.0}]}, "predictions", [2.5]),
        (":predict", {"inputs": [1.0, 2.0]}, "outputs", [2.5, 3.0]),
        (":predict", {"inputs": {"x": 4}}, "outputs", 4.0),
        ("/versions/1:predict", {"instances": [1]}, "predictions", [2.5]),
        ("/VERSIONS/1:predict", {"instances": [1]}, "predictions", [2.5]),
        (":predict", {"signature_name": "regress_x2_to_y3", "instances": [4]}, "predictions", [5.0]),
    ],
)
def test_predict_in_every_form(server: ServerProcess, path: str, body: Any, key: str, values: Any) -> None:
    assert server.predict(body, path).json() == {key: values}


def test_a_serialized_example_is_parsed(server: ServerProcess) -> None:
    example = "Cg8KDQoBeBIIEgYKBAAAAEA="  # tf.train.Example with the feature x: 2.0
    body = {"signature_name": "classify_x_to_y", "instances": [{"b64": example}]}
    assert server.predict(body).json() == {"predictions": [[3.0]]}


def test_several_inputs_and_outputs(zoo_server: ServerProcess) -> None:
    instances = [{"number": 1, "words": ["a", {"b64": "/w=="}]}, {"number": -2, "words": ["c", "d"]}]
    answer = zoo_server.predict({"signature_name": "pair", "instances": instances}).json()
    assert answer["predictions"] == [
        {"double": 2.0, "joined": "a\ufffd", "words_bytes": [{"b64": "YQ=="}, {"b64": "/w=="}]},
        {"double": -4.0, "joined": "cd", "words_bytes": [{"b64": "Yw=="}, {"b64": "ZA=="}]},
    ]


@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        ("float32", "[0.1, 1.0, 16777216.0, NaN, Infinity, -Infinity]"),
        ("float64", "[0.1, 1e-300, 123456789.12345679]"),
        ("float16", "[0.5, 65504.0]"),
        ("bfloat16", "[0.5, -2.0]"),
        ("int8", "[-128, 127]"),
        ("uint16", "[65535]"),
        ("int64", "[9007199254740993, -9223372036854775808]"),
        ("uint64", "[18446744073709551615, 0]"),
        ("bool", "[true, false]"),
        ("string", '["a", "\u00e9\\"", ""]'),
    ],
)
def test_every_type_is_returned_unchanged(zoo_server: ServerProcess, dtype: str, text: str) -> None:
    body = f'{{"signature_name": "echo_{dtype}", "inputs": {text}}}'
    answer = zoo_server.predict(body.encode())
    assert answer.status_code == 200, answer.text
    sent = repr(json.loads(text))
    assert repr(json.loads(answer.text)["outputs"]) == sent


def test_status(server: ServerProcess) -> None:
    expected = (
        '{\n "model_version_status": [\n  {\n   "version": "1",\n   "state": "AVAILABLE",\n   "status": {\n'
        '    "error_code": "OK",\n    "error_message": ""\n   }\n  }\n ]\n}\n'
    )
    for path in ("", "/versions/1", "/labels/any"):
        assert server.get(path).text == expected


def test_metadata_has_every_signature(server: ServerProcess, half_plus_two: Path) -> None:
    answer = server.get("/metadata")
    assert answer.text.startswith('{\n"model_spec":{\n "name": "half_plus_two",\n')
    document = answer.json()
    assert document["model_spec"] == {"name": "half_plus_two", "version": "1", "signature_name": ""}
    shown = document["metadata"]["signature_def"]["signature_def"]
    (meta_graph,) = read_meta_graphs(half_plus_two / "1" / "saved_model.pb")
    assert {name: ParseDict(value, SignatureDef()) for name, value in shown.items()} == dict(meta_graph.signature_def)
    assert shown["serving_default"]["inputs"]["x"]["tensor_shape"]["dim"] == [{"size": "-1", "name": ""}]
    assert server.get("/versions/1/metadata").text == answer.text
    assert "model_version_status" in server.get("/METADATA").json()


NAME = "/v1/models/half_plus_two"


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("POST", "/v1/models/nope:predict", 404, "Servable not found for request: Latest(nope)"),
        ("POST", "/v1/models/a%20%2Fb:predict", 404, "Servable not found for request: Latest(a /b)"),
        ("POST", f"{NAME}/versions/9:predict", 404, "Servable not found for request: Specific(half_plus_two, 9)"),
        ("POST", f"{NAME}/labels/stable:predict", 400, "Unrecognized servable version label: stable"),
        ("POST", f"{NAME}/versions/{2**63}:predict", 400, f"Failed to convert version: {2**63} to numeric."),
        ("POST", f"{NAME}:explain", 400, f"Malformed request: POST {NAME}:explain"),
        ("POST", f"{NAME}:Predict", 400, f"Malformed request: POST {NAME}:Predict"),
        ("POST", NAME, 400, f"Malformed request: POST {NAME}"),
        ("POST", f"{NAME}/versions/one:predict", 400, f"Malformed request: POST {NAME}/versions/one:predict"),
        ("GET", f"{NAME}:predict", 400, f"Malformed request: GET {NAME}:predict"),
        ("DELETE", NAME, 400, f"Malformed request: DELETE {NAME}"),
        ("GET", "/v1/models", 400, "Missing model name in request."),
        ("GET", "/v1/", 400, "Malformed request: GET /v1/"),
        ("GET", "/v1/models/nope", 404, "Could not find any versions of model nope"),
        ("GET", f"{NAME}/versions/9", 404, "Could not find version 9 of model half_plus_two"),
        ("GET", "/v1/models/nope/metadata", 404, "Servable not found for request: Latest(nope)"),
    ],
)
def test_invalid_paths(server: ServerProcess, method: str, path: str, status: int, message: str) -> None:
    answer = server.session.request(method, f"http://127.0.0.1:{server.port}{path}", data='{"instances": [1]}')
    assert (answer.status_code, answer.json()) == (status, {"error": message})
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/models/half_plus_two", "/metrics"])
def test_paths_outside_the_api_are_pages(server: ServerProcess, path: str) -> None:
    answer = server.session.get(f"http://127.0.0.1:{server.port}{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b"{", "JSON Parse error: "),
        ({"instances": ["a"]}, "Type: String is not of expected type: float"),
        ({"instances": [1], "signature_name": "no"}, 'Serving signature name: "no" not found in signature def'),
        (gzip.compress(b'{"instances": [1]}', mtime=0), "JSON Parse error: "),
    ],
)
def test_invalid_bodies(server: ServerProcess, body: Any, message: str) -> None:
    answer = server.predict(body)
    assert answer.status_code == 400
    assert message in answer.json()["error"]


def test_errors_of_the_model_are_client_errors(zoo_server: ServerProcess) -> None:
    for _ in range(3):
        answer = zoo_server.predict({"signature_name": "two", "inputs": [1, 2, 3]})
        assert answer.status_code == 400, answer.text
        assert "ncompatible shapes" in answer.json()["error"]


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("total", "Tensor name: sum has no shape information "),
        ("uneven", "has inconsistent batch size: 1 expecting: 2"),
    ],
)
def test_outputs_without_rows(zoo_server: ServerProcess, signature: str, message: str) -> None:
    answer = zoo_server.predict({"signature_name": signature, "instances": [1, 2]})
    assert answer.status_code == 400
    assert message in answer.json()["error"]
    assert zoo_server.predict({"signature_name": signature, "inputs": [1, 2]}).status_code == 200


def test_a_run_that_exceeds_the_timeout_is_ended(models: Path, tmp_path: Path) -> None:
    body, _, _ = hold(tmp_path)
    with ServerProcess(tmp_path / "log", models / "zoo", "--rest_api_timeout_in_ms=200") as process:
        assert process.wait_until_ready().predict(body).status_code == 504


def test_a_slow_request_does_not_delay_others(zoo_server: ServerProcess, tmp_path: Path) -> None:
    body, started, go = hold(tmp_path)
    slow = threading.Thread(target=zoo_server.predict, args=(body,))
    slow.start()
    try:
        zoo_server.wait_for(started.exists)
        for _ in range(20):
            assert zoo_server.predict({"signature_name": "echo_int8", "inputs": [1]}).status_code == 200
        assert slow.is_alive()
    finally:
        go.touch()
        slow.join()


def test_a_cancelled_request_keeps_its_version_loaded_while_it_runs(models: Path, tmp_path: Path) -> None:
    base_path = tmp_path / "m"
    body, started, go = hold(tmp_path)
    shutil.copytree(models / "zoo" / "1", base_path / "1")
    manager = Manager([ModelConfig("m", base_path)], ManagerOptions(poll_seconds=0.05), LoadOptions())
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(body).encode()}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def request_and_cancel() -> None:
        scope = {"type": "http", "method": "POST", "raw_path": b"/v1/models/m:predict", "headers": []}
        limits = Limits()
        app = RestApp(Dispatcher(manager, threads=1), Bodies(limits, ParserPool(socket.socketpair()[0], limits)))
        request = asyncio.create_task(app(scope, receive, send))
        await asyncio.to_thread(eventually, started.exists)
        request.cancel()
        await asyncio.wait([request])

    def states() -> dict[int, str]:
        return {status.version: status.state for status in manager.statuses("m")}

    manager.start()
    try:
        manager.ready.result(PATIENCE)
        asyncio.run(request_and_cancel())
        assert sent[0]["status"] == 503
        shutil.copytree(models / "zoo" / "1", tmp_path / "made").rename(base_path / "2")
        eventually(lambda: states() == {2: "AVAILABLE", 1: "UNLOADING"})
        manager.poll().result(PATIENCE)  # another step in which nothing may unload it
        assert states()[1] == "UNLOADING"
        go.touch()
        eventually(lambda: states()[1] == "END")
    finally:
        go.touch()
        manager.stop()


def test_a_body_larger_than_the_limit_is_refused(server: ServerProcess) -> None:
    rows = [[float(number)] for number in range(100_000)]
    assert server.predict({"instances": rows}).json()["predictions"][-1] == [0.5 * 99_999 + 2]
    answer = server.predict(b" " * 2_000_001)
    assert answer.status_code == 413
    assert "2000000 bytes" in answer.json()["error"]
    chunks = (b" " * 100_000 for _ in range(21))  # without a length in advance
    assert server.session.post(f"{server.url}:predict", data=chunks).status_code == 413
    assert server.get().status_code == 200


def test_keep_alive_pipelining_and_dribbling(server: ServerProcess) -> None:
    body = b'{"instances":[1]}'
    head = b"POST " + NAME.encode() + b":predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as client:
        client.sendall((head + body) * 3)
        for byte in head + body:
            client.sendall(bytes([byte]))
        received = b""
        while received.count(b'"predictions": [2.5\n') < 4:
            piece = client.recv(65536)
            assert piece, received
            received += piece


def test_garbage_and_truncated_requests_do_not_affect_others(server: ServerProcess) -> None:
    for garbage in (
        b"\x00\xff" * 100,
        b"POST /v1/models/half_plus_two:predict HTTP/1.1\r\nContent-Length: 100\r\n\r\n{",
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as client:
            client.sendall(garbage)
    assert server.predict({"instances": [1]}).status_code == 200


def test_many_connections_at_once(server: ServerProcess) -> None:
    body = b'{"instances":[1]}'
    request = (
        b"POST " + NAME.encode() + b":predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    clients = [socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) for _ in range(256)]
    try:
        for client in clients:
            client.sendall(request + body)
        assert all(client.recv(65536).startswith(b"HTTP/1.1 200") for client in clients)
    finally:
        for client in clients:
            client.close()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["x", "b64"]), inner),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["instances", "inputs", "signature_name", "other"]), VALUES),
    st.sampled_from(["", "classify_x_to_y", "regress_x2_to_y3"]),
)
def test_any_body_gets_a_well_formed_answer(server: ServerProcess, body: dict[str, Any], signature: str) -> None:
    if signature:
        body["signature_name"] = signature
    answer = server.predict(json.dumps(body))
    document = json.loads(answer.text)
    if answer.status_code == 200:
        assert document.keys() <= {"predictions", "outputs"}
    else:
        assert answer.status_code == 400
        assert document.keys() == {"error"}
        assert isinstance(document["error"], str)
