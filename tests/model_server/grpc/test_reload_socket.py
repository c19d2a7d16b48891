from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.model_server.server_process import ServerProcess
from tfserve.model_server.grpc.reload_socket import ReloadSocket
from tfserve.model_server.models.manager import Manager, ManagerOptions
from tfserve.model_server.runtime.session import LoadOptions
from tfserve.model_server.status import StatusError
from tfserve.protos import apis_pb2

from .client import Client
from .conftest import GrpcProcess

RELOAD = "ModelService/HandleReloadConfigRequest"
LIVE = "another process listens there"


def reload_request(name: str, base_path: Path) -> apis_pb2.ReloadConfigRequest:
    request = apis_pb2.ReloadConfigRequest()
    request.config.model_config_list.config.add(name=name, base_path=str(base_path), model_platform="tensorflow")
    return request


def reload(client: Client, name: str, base_path: Path) -> int:
    answer = client.call(RELOAD, reload_request(name, base_path), apis_pb2.ReloadConfigResponse)
    return answer.status.error_code


@pytest.fixture
def manager() -> Iterator[Manager]:
    managed = Manager([], ManagerOptions(), LoadOptions())
    yield managed
    managed.stop()


@pytest.fixture(params=[0, 0o777], ids=["umask 0", "umask 777"])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_reloads_are_taken_on_the_socket_alone(half_plus_two: Path, tmp_path: Path) -> None:
    path, other = tmp_path / "reload", tmp_path / "socket"
    flags = (f"--config_reload_socket_path={path}", f"--grpc_socket_path={other}", "--enable_grpc_healthcheck_service")
    with GrpcProcess(tmp_path / "log", half_plus_two, *flags) as process:
        process.wait_until_ready()
        process.wait_for_log(f"Taking configuration reloads at UNIX socket {path} ...")
        for client in (process.client(), Client(f"unix:{other}")):
            for body in (reload_request("n", half_plus_two), b"", b"\xff"):
                refused = client.failure(RELOAD, body)
                assert refused.code == "PERMISSION_DENIED"
                assert f"can only be reloaded on its UNIX socket {path}" in refused.message
                assert "without --config_reload_socket_path" in refused.message
        assert process.get().status_code == 200
        assert reload(Client(f"unix:{path}"), "n", half_plus_two) == 0
        assert process.get("/../n").status_code == 200
        for method in ("PredictionService/Predict", "PredictionService/GetModelMetadata"):
            assert Client(f"unix:{path}").failure(method, b"").code == "UNIMPLEMENTED"
        assert "runs as root" not in process.log
        process.signal(signal.SIGTERM)
        assert process.wait_for_exit() == 0
        assert not path.exists()


def test_a_server_of_the_rest_api_alone_takes_reloads(
    half_plus_two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / ("d" * 100)
    directory.mkdir()
    monkeypatch.chdir(directory)
    with ServerProcess(tmp_path / "log", half_plus_two, "--config_reload_socket_path=a %41?#", name="m") as process:
        process.wait_until_ready()
        made = (directory / "a %41?#").lstat()
        assert stat.S_ISSOCK(made.st_mode)
        assert stat.S_IMODE(made.st_mode) == 0o600
        assert reload(Client("unix:a%20%2541%3F%23"), "n", half_plus_two) == 0
        process.signal(signal.SIGTERM)
        assert process.wait_for_exit() == 0
        assert not (directory / "a %41?#").exists()


def test_the_mode_does_not_depend_on_the_umask(manager: Manager, tmp_path: Path, umask: None) -> None:
    path = tmp_path / "socket"

    async def serve() -> None:
        server = ReloadSocket(manager, str(path))
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
        stop = asyncio.Event()
        stop.set()
        await server.serve(stop)

    asyncio.run(serve())
    assert not path.exists()


def test_a_socket_without_a_process_is_replaced_and_one_with_a_process_is_not(manager: Manager, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))

    async def serve() -> None:
        ReloadSocket(manager, str(path))
        replaced = path.lstat().st_ino
        with pytest.raises(StatusError, match=LIVE):
            ReloadSocket(manager, str(path))
        assert path.lstat().st_ino == replaced

    asyncio.run(serve())


def test_a_busy_process_keeps_its_socket(manager: Manager, tmp_path: Path) -> None:
    path = tmp_path / "socket"

    async def serve() -> None:
        ReloadSocket(manager, str(path))

    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as waiting:
        listener.bind(str(path))
        listener.listen(0)
        waiting.connect(str(path))  # the queue is full
        with pytest.raises(StatusError, match=LIVE):
            asyncio.run(serve())
    assert path.exists()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("file", "and it is not a socket"),
        ("dangling", "and it is not a socket"),
        (".", "and it is not a socket"),
        ("none/socket", "its directory does not exist"),
        ("n" * 108, "it has more than 107 bytes"),
    ],
)
def test_paths_that_cannot_be_a_socket(manager: Manager, tmp_path: Path, path: str, message: str) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "dangling").symlink_to("nowhere")

    async def serve() -> None:
        ReloadSocket(manager, str(tmp_path / path))

    with pytest.raises(StatusError, match=message) as raised:
        asyncio.run(serve())
    assert raised.value.message.startswith(f"--config_reload_socket_path: {tmp_path}")
    assert (tmp_path / "file").read_text() == "kept"


def test_root_is_warned_that_clients_can_run_programs(zoo_process: GrpcProcess) -> None:
    assert ("This server runs as root" in zoo_process.log) == (os.geteuid() == 0)
