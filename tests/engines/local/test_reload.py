"""Who can change what a local server serves: its user alone, unless a flag says otherwise."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.program import Program, assert_error, eventually

LOCAL = ("--engine", "local", "--rest-port", "0")
PORTS = (*LOCAL, "--grpc-port", "0")

RELOAD = """
import json, os, sys, grpc
from tfserve.protos.apis_pb2 import ReloadConfigRequest, ReloadConfigResponse

addresses, base_path, user = sys.argv[1:]
request = ReloadConfigRequest()
request.config.model_config_list.config.add(name="foreign", base_path=base_path, model_platform="tensorflow")
codes = []
if int(user):
    os.setgroups([]), os.setgid(int(user)), os.setuid(int(user))
for address in json.loads(addresses):
    if address.startswith("/"):  # it may be too long for the address of a socket
        codes.append("FOUND" if os.path.exists(address) else "NONE")
        continue
    with grpc.insecure_channel(address) as channel:
        reload = channel.unary_unary(
            "/tensorflow.serving.ModelService/HandleReloadConfigRequest", ReloadConfigRequest.SerializeToString
        )
        try:
            reload(request, timeout=20)
            codes.append("OK")
        except grpc.RpcError as error:
            codes.append(error.code().name)
print(json.dumps(codes))
"""


def reload_as(user: int, base_path: Path, *addresses: str) -> list[str]:
    """Returns the code of a reload that `user` sends to each address; of a path, whether it exists for that user."""
    done = subprocess.run(
        [sys.executable, "-c", RELOAD, json.dumps(addresses), base_path, str(user)],
        capture_output=True,
        text=True,
        check=True,
    )
    codes: list[str] = json.loads(done.stdout)
    return codes


def models(tfserve: Program) -> list[str]:
    return [model["name"] for model in tfserve.json("models")]


def socket_of(tfserve: Program, name: str) -> Path:
    return tfserve.servers / name / "run" / "reload"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_other_users_cannot_reload(tfserve: Program, half_plus_two: Path) -> None:
    started = tfserve.json("run", half_plus_two, "--versions", "latest", "--name", "prod", *PORTS)
    path = socket_of(tfserve, "prod")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for directory in (path.parent, path.parent.parent):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    addresses = (started["grpc_address"], str(path))
    assert reload_as(65534, half_plus_two, *addresses) == ["PERMISSION_DENIED", "NONE"]
    assert reload_as(0, half_plus_two, *addresses) == ["PERMISSION_DENIED", "FOUND"]
    assert models(tfserve) == ["prod"]
    os.killpg(started["pid"], signal.SIGKILL)  # its socket stays, and is replaced
    eventually(lambda: tfserve.json("status")["state"] == "exited")
    assert tfserve("start", "prod").returncode == 0
    assert tfserve("models", "prod", "add", f"{half_plus_two}=more").returncode == 0
    assert models(tfserve) == ["prod", "more"]


def test_models_change_without_a_grpc_port(tmp_path: Path, half_plus_n: Path) -> None:
    """Also if the path of the socket is longer than the address of a socket can be, and if the file is polled."""
    tfserve = Program(tmp_path / ("d" * 200))
    tfserve.home.mkdir()
    try:
        options = ("--versions", "all", "--name", "prod", "--grpc-port", "none", *LOCAL, "--json")
        started = tfserve("run", half_plus_n, *options, "--", "--model_config_file_poll_wait_seconds=1")
        assert json.loads(started.stdout)["grpc_address"] is None
        assert tfserve("models", "prod", "pin", "2").returncode == 0
        assert tfserve.json("predict", "prod", "1") == {"predictions": [2.5]}
        time.sleep(1.1)
        assert "Failed to read ModelServerConfig file" not in tfserve("logs").stdout
        assert tfserve.json("predict", "prod", "1") == {"predictions": [2.5]}
        assert tfserve("stop", "prod").returncode == 0
        assert not socket_of(tfserve, "prod").exists()
        assert_error(tfserve("models", "prod", "pin", "3"), 10, "is stopped")
    finally:
        tfserve.clean_up()


def test_reload_over_tcp(tfserve: Program, half_plus_two: Path) -> None:
    """A server of an earlier version, whose record has no sandbox and no socket, is started again and behaves so."""
    options = ("--versions", "latest", "--name", "prod", "--unsandboxed", "--reload-over-tcp")
    started = tfserve.json("run", half_plus_two, *options, *PORTS)
    record = tfserve.servers / "prod" / "server.json"
    text = record.read_text()
    for name in ("sandbox", "reload_socket"):
        assert f', \\"{name}\\": null' in text
        text = text.replace(f', \\"{name}\\": null', "")
    record.write_text(text)
    assert tfserve("restart", "prod").returncode == 0
    assert not socket_of(tfserve, "prod").exists()
    assert tfserve("models", "prod", "add", f"{half_plus_two}=more").returncode == 0
    assert reload_as(0, half_plus_two, started["grpc_address"]) == ["OK"]
    assert tfserve("predict", "--url", started["rest_url"], "foreign", "1").returncode == 0


def test_with_tls_and_another_socket(tfserve: Program, half_plus_two: Path, tmp_path: Path) -> None:
    """The socket for reloads is without TLS; the other one serves requests, also after the server was killed."""
    pem = (Path(__file__).parents[2] / "model_server" / "grpc" / "localhost.pem").read_text()
    (tmp_path / "ssl.config").write_text(f"server_key: {json.dumps(pem)} server_cert: {json.dumps(pem)}")
    path = tmp_path / "grpc.sock"
    flags = ("--", f"--ssl_config_file={tmp_path / 'ssl.config'}", f"--grpc_socket_path={path}")
    assert tfserve("run", half_plus_two, "--versions", "latest", "--name", "tls", *PORTS, *flags).returncode == 0
    assert path.is_socket()
    assert tfserve("models", "tls", "add", f"{half_plus_two}=more").returncode == 0
    assert tfserve("restart", "tls").returncode == 0
    assert tfserve("models", "tls", "remove", "more").returncode == 0


def test_docker_refuses_the_options(tfserve: Program, half_plus_two: Path) -> None:
    for option in ("--unsandboxed", "--reload-over-tcp"):
        refused = tfserve("run", half_plus_two, "--engine", "docker", option)
        assert_error(refused, 2, f"{option} can only be used with local processes", "--engine local")
        combined = tfserve("run", half_plus_two, option, "--memory", "1g")
        assert_error(combined, 2, f"--memory cannot be combined with {option}")
