from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2

from tests.attacks.grpc import HEALTH_WATCH
from tests.attacks.http2 import Connection, prefixed
from tests.model_server.server_process import PATIENCE
from tests.program import eventually
from tfserve.model_server.grpc.credentials import server_credentials
from tfserve.model_server.grpc.server import channel_arguments
from tfserve.model_server.status import StatusError
from tfserve.protos.saved_model_pb2 import TensorProto
from tfserve.protos.tensors import to_array, to_proto_fields

from .client import Client, predict_request
from .conftest import GrpcProcess

PEM = (Path(__file__).parent / "localhost.pem").read_text()
KEY, CERTIFICATE = (PEM[: PEM.index("-----BEGIN CERT")], PEM[PEM.index("-----BEGIN CERT") :])


def ask(client: Client) -> list[float]:
    x = TensorProto.FromString(to_proto_fields(np.array([1, 2, 5], np.float32)))
    answer: list[float] = to_array(client.predict(predict_request("m", x=x)).outputs["y"]).tolist()
    return answer


def path_tensor(path: Path) -> TensorProto:
    made = TensorProto(dtype="DT_STRING", string_val=[str(path).encode()])
    made.tensor_shape.SetInParent()
    return made


def quoted(pem: str) -> str:
    return '"' + pem.replace("\n", "\\n") + '"'


@pytest.fixture(scope="module")
def socket_path(half_plus_two: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The UNIX socket of a server without ports, with flags that differ from the defaults."""
    directory = tmp_path_factory.mktemp("socket")
    path = directory / "socket"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    flags = (
        *("--port=0", "--rest_api_port=0", f"--grpc_socket_path={path}", "--enable_serialization_as_tensor_content"),
        *("--grpc_channel_arguments=grpc.max_receive_message_length=1000,x.y=z", "--grpc_max_threads=3"),
    )
    with GrpcProcess(directory / "log", half_plus_two, *flags) as process:
        process.wait_for_log(f"Running gRPC ModelServer at UNIX socket {path} ...")
        yield path
        process.signal(signal.SIGTERM)
        assert process.wait_for_exit() == 0
        assert "--grpc_max_threads has no effect" in process.log
        assert not any(text in process.log for text in ("Traceback", "REST", "gRPC ModelServer at 127.0.0.1"))


def test_a_unix_socket_replaces_a_stale_one(socket_path: Path) -> None:
    assert ask(Client(f"unix:{socket_path}")) == [2.5, 3.0, 4.5]


def test_arguments_of_the_channel_reach_grpc(socket_path: Path) -> None:
    failure = Client(f"unix:{socket_path}").predict_failure(predict_request("m" * 2000))
    assert failure.code == "RESOURCE_EXHAUSTED"


def test_tensors_as_content(socket_path: Path) -> None:
    x = TensorProto.FromString(to_proto_fields(np.array([1], np.float32)))
    output = Client(f"unix:{socket_path}").predict(predict_request("m", x=x)).outputs["y"]
    assert np.frombuffer(output.tensor_content, np.float32).tolist() == [2.5]
    assert not output.float_val


def test_no_health_service_without_its_flag(socket_path: Path) -> None:
    assert health(Client(f"unix:{socket_path}"), "") == "UNIMPLEMENTED"


def test_the_port_is_logged_in_the_words_of_the_official_server(zoo_process: GrpcProcess) -> None:
    log = zoo_process.log
    running = f"Running gRPC ModelServer at 127.0.0.1:{zoo_process.grpc_port} ..."
    assert log.index("Using InsecureServerCredentials") < log.index(running) < log.index("Exporting HTTP/REST API at:")


def test_a_port_in_use_fails_the_start(half_plus_two: Path, tmp_path: Path, zoo_process: GrpcProcess) -> None:
    with GrpcProcess(tmp_path / "log", half_plus_two, f"--port={zoo_process.grpc_port}") as process:
        assert process.wait_for_exit() == 255
        assert "Failed to start server. Error: INVALID_ARGUMENT: Failed to BuildAndStart gRPC server" in process.log
        assert "Traceback" not in process.log


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "NOT_FOUND: .*ssl.config; No such file or directory"),
        ("server_key: ", "INVALID_ARGUMENT: Invalid protobuf file: "),
        ("", "INVALID_ARGUMENT: .*ssl.config; the file is empty"),
        ("# none", "INVALID_ARGUMENT: .*ssl.config lacks server_key or server_cert"),
        (f"server_key: {quoted(KEY)} server_cert: {quoted(CERTIFICATE)} client_verify: true", "but no custom_ca"),
    ],
)
def test_invalid_ssl_configs(tmp_path: Path, config: str | None, message: str) -> None:
    file = tmp_path / "ssl.config"
    if config is not None:
        file.write_text(config)
    with pytest.raises(StatusError, match=message):
        server_credentials(str(file), use_alts=False)
    with pytest.raises(StatusError, match="Either use_alts_credentials"):
        server_credentials(str(file), use_alts=True)


def test_an_invalid_certificate_fails_the_start(half_plus_two: Path, tmp_path: Path) -> None:
    file = tmp_path / "ssl.config"
    file.write_text("server_key: 'a' server_cert: 'b'")
    with GrpcProcess(tmp_path / "log", half_plus_two, f"--ssl_config_file={file}") as process:
        assert process.wait_for_exit() == 255
        assert "Failed to BuildAndStart gRPC server: --ssl_config_file has a key or a certificate" in process.log
        assert "Traceback" not in process.log


def test_tls_with_certificates_of_both_sides(half_plus_two: Path, tmp_path: Path) -> None:
    file = tmp_path / "ssl.config"
    pems = f"server_key: {quoted(KEY)}\nserver_cert: {quoted(CERTIFICATE)}\ncustom_ca: {quoted(CERTIFICATE)}\n"
    file.write_text(pems + "client_verify: true\n")
    with GrpcProcess(tmp_path / "log", half_plus_two, f"--ssl_config_file={file}") as process:
        process.wait_until_ready()
        assert "Using SSL credentials" in process.log
        target = f"localhost:{process.grpc_port}"
        known = grpc.ssl_channel_credentials(CERTIFICATE.encode(), KEY.encode(), CERTIFICATE.encode())
        assert ask(Client(target, known)) == [2.5, 3.0, 4.5]
        for stranger in (Client(target), Client(target, grpc.ssl_channel_credentials(CERTIFICATE.encode()))):
            assert stranger.predict_failure(predict_request("m")).code == "UNAVAILABLE"


def test_arguments_of_the_channel() -> None:
    assert channel_arguments("") == {}
    read = channel_arguments("a=1,b=-2,c=x,d=1.5,e=99999999999,f=")
    assert read == {"a": 1, "b": -2, "c": "x", "d": "1.5", "e": "99999999999", "f": ""}
    for text in ("a", "a=1,", "=1"):
        with pytest.raises(StatusError, match="is not KEY=VALUE"):
            channel_arguments(text)


def health(client: Client, service: str) -> str:
    check = client.channel.unary_unary("/grpc.health.v1.Health/Check")
    body = health_pb2.HealthCheckRequest(service=service).SerializeToString()
    try:
        status = health_pb2.HealthCheckResponse.FromString(check(body, timeout=PATIENCE)).status
    except grpc.RpcError as error:
        code: str = error.code().name
        return code
    name: str = health_pb2.HealthCheckResponse.ServingStatus.Name(status)
    return name


def test_health(zoo_client: Client) -> None:
    for service in ("", "ModelService", "PredictionService"):
        assert health(zoo_client, service) == "SERVING"
    assert health(zoo_client, "tensorflow.serving.PredictionService") == "NOT_FOUND"


def test_watchers_of_health_get_the_end_and_do_not_delay_it(half_plus_two: Path, tmp_path: Path) -> None:
    with GrpcProcess(tmp_path / "log", half_plus_two, "--enable_grpc_healthcheck_service") as process:
        process.wait_until_ready()
        watch = process.client().channel.unary_stream("/grpc.health.v1.Health/Watch")
        known = watch(health_pb2.HealthCheckRequest(service="").SerializeToString())
        unknown = watch(health_pb2.HealthCheckRequest(service="nope").SerializeToString())
        received: list[int] = []

        def read() -> grpc.StatusCode:
            """Reads continuously: gRPC drops messages that have not been read before a failure."""
            try:
                received.extend(health_pb2.HealthCheckResponse.FromString(body).status for body in known)
            except grpc.RpcError as failure:
                code: grpc.StatusCode = failure.code()
                return code
            return grpc.StatusCode.OK

        assert health_pb2.HealthCheckResponse.FromString(next(unknown)).status == (
            health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        )
        with ThreadPoolExecutor() as threads:
            end = threads.submit(read)
            eventually(lambda: received == [health_pb2.HealthCheckResponse.SERVING], PATIENCE)
            process.signal(signal.SIGTERM)
            assert process.wait_for_exit() == 0
            assert end.result(PATIENCE) is grpc.StatusCode.UNAVAILABLE
        assert received == [health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING]
        assert "Traceback" not in process.log


def test_a_signal_lets_running_requests_finish(models: Path, tmp_path: Path) -> None:
    started, go = tmp_path / "started", tmp_path / "go"
    request = predict_request("m", "hold", started=path_tensor(started), go=path_tensor(go))
    with GrpcProcess(tmp_path / "log", models / "zoo") as process:
        process.wait_until_ready()
        client = process.client()
        with ThreadPoolExecutor() as threads:
            answer = threads.submit(client.predict, request)
            process.wait_for(started.exists)
            process.signal(signal.SIGTERM)
            eventually(lambda: refuses(process.grpc_port), PATIENCE)
            assert process.process.poll() is None
            go.touch()
            assert "turns" in answer.result(PATIENCE).outputs
        assert process.wait_for_exit() == 0
        assert "Traceback" not in process.log


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_request_for_the_health_is_short(zoo_client: Client) -> None:
    check = zoo_client.channel.unary_unary("/grpc.health.v1.Health/Check")
    with pytest.raises(grpc.RpcError) as raised:
        check(bytes(5000), timeout=PATIENCE)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "4096" in raised.value.details()


def test_few_clients_watch_the_health_at_the_same_time(zoo_process: GrpcProcess, zoo_client: Client) -> None:
    with contextlib.ExitStack() as stack:
        watchers = [stack.enter_context(Connection("127.0.0.1", zoo_process.grpc_port)) for _ in range(6)]
        for watcher in watchers:
            for stream in watcher.open(HEALTH_WATCH, 100):
                watcher.send(stream, prefixed(b""), end=True)
        eventually(lambda: [watcher.read(0.01) for watcher in watchers] and sum(map(_ended, watchers)) == 100, PATIENCE)
        assert health(zoo_client, "") == "SERVING"
    watch = zoo_client.channel.unary_stream(HEALTH_WATCH)
    eventually(lambda: _is_watched(watch), PATIENCE)


def _ended(watcher: Connection) -> int:
    return len(watcher.ended)


def _is_watched(watch: Any) -> bool:
    call = watch(b"", timeout=PATIENCE)
    try:
        return bool(next(call))
    except grpc.RpcError:
        return False
    finally:
        call.cancel()
