"""``tfserve run`` on a real engine: the container, the output, and errors."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from docker import DockerClient

from .conftest import Tfserve

HALF_PLUS_TWO = Path(__file__).parents[2] / "examples" / "half_plus_two"


def container_of(client: DockerClient, name: str) -> dict[str, object]:
    attributes: dict[str, object] = client.api.inspect_container(f"tfserve-{name}")
    return attributes


def test_serves_and_answers(tfserve: Tfserve, unique_name: Callable[[], str], docker_client: DockerClient) -> None:
    name = unique_name()
    ran = tfserve("run", HALF_PLUS_TWO, "--name", name, "--rest-port", "0", "--grpc-port", "0", "--json")
    assert ran.returncode == 0, ran.stderr
    server = json.loads(ran.stdout)
    assert server["name"] == name
    assert (server["engine"], server["state"], server["health"]) == ("docker", "running", "available")
    assert server["image"] == "tensorflow/serving:latest"
    assert server["pid"] is None
    assert server["gpu"] is False
    assert server["models"] == [{"name": name, "versions": [{"version": 1, "state": "AVAILABLE"}]}]
    assert server["rest_url"].startswith("http://127.0.0.1:")
    assert server["grpc_address"].startswith("127.0.0.1:")
    assert server["smoke_test"]["ok"] is True
    assert server["smoke_test"]["latency_ms"] > 0
    assert server["smoke_test"]["response"] == {"outputs": [2.0]}
    assert docker_client.api.inspect_container(server["container_id"])["State"]["Running"]
    answer = requests.post(f"{server['rest_url']}/v1/models/{name}:predict", json={"instances": [1, 2, 5]}, timeout=10)
    assert answer.json() == {"predictions": [2.5, 3.0, 4.5]}
    predicted = tfserve("predict", name, "1", "2", "5", "--json")
    assert json.loads(predicted.stdout) == {"predictions": [2.5, 3.0, 4.5]}


def test_is_safe_by_default(tfserve: Tfserve, unique_name: Callable[[], str], docker_client: DockerClient) -> None:
    name = unique_name()
    ran = tfserve("run", HALF_PLUS_TWO, "--name", name, "--rest-port", "0", "--grpc-port", "none", "--no-smoke-test")
    assert ran.returncode == 0, ran.stderr
    found = docker_client.api.inspect_container(f"tfserve-{name}")
    host = found["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert "no-new-privileges" in host["SecurityOpt"]
    assert host["Init"] is True
    (mount,) = found["Mounts"]
    assert (mount["Source"], mount["Destination"]) == (str(HALF_PLUS_TWO.resolve()), f"/models/{name}")
    assert mount["RW"] is False
    owner = (HALF_PLUS_TWO / "1").stat() if os.getuid() == 0 else None
    uid, gid = (owner.st_uid, owner.st_gid) if owner else (os.getuid(), os.getgid())
    assert found["Config"]["User"] == f"{uid}:{gid}"
    assert list(host["PortBindings"]) == ["8501/tcp"]
    assert host["PortBindings"]["8501/tcp"][0]["HostIp"] == "127.0.0.1"
    assert found["Config"]["Labels"]["tfserve.name"] == name
    assert json.loads(found["Config"]["Labels"]["tfserve.spec"])["name"] == name


def test_limits_variables_and_flags_arrive(
    tfserve: Tfserve, unique_name: Callable[[], str], docker_client: DockerClient
) -> None:
    name = unique_name()
    ran = tfserve(
        *("run", HALF_PLUS_TWO, "--name", name, "--rest-port", "0", "--grpc-port", "0", "--no-smoke-test"),
        *("--memory", "1500m", "--cpus", "1.5", "--restart", "on-failure:3", "--env", "GREETING=a b$(c)'d\"e"),
        *("--", "--file_system_poll_wait_seconds=7"),
    )
    assert ran.returncode == 0, ran.stderr
    found = docker_client.api.inspect_container(f"tfserve-{name}")
    assert found["HostConfig"]["Memory"] == 1500 * 2**20
    assert found["HostConfig"]["NanoCpus"] == 1_500_000_000
    assert found["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert "GREETING=a b$(c)'d\"e" in found["Config"]["Env"]
    assert found["Config"]["Cmd"] == ["--file_system_poll_wait_seconds=7"]
    assert "GREETING" in found["Config"]["Labels"]["tfserve.spec"]
    assert "a b" not in found["Config"]["Labels"]["tfserve.spec"]  # values may be secrets


def test_a_file_that_a_flag_names(tmp_path: Path, tfserve: Tfserve, unique_name: Callable[[], str]) -> None:
    file = tmp_path / "a,b.txt"
    file.write_text("prometheus_config { enable: true }")
    ran = tfserve(
        *("run", HALF_PLUS_TWO, "--name", unique_name(), "--engine", "docker", "--rest-port", "0", "--grpc-port"),
        *("none", "--json", "--", f"--monitoring_config_file={file.name}"),
    )
    assert ran.returncode == 0, ran.stderr
    page = requests.get(f"{json.loads(ran.stdout)['rest_url']}/monitoring/prometheus/metrics", timeout=10)
    assert "# TYPE" in page.text


@pytest.mark.parametrize("layout", ["version", "bare"])
def test_serves_one_version_or_a_saved_model(
    layout: str, tmp_path: Path, tfserve: Tfserve, unique_name: Callable[[], str]
) -> None:
    name = unique_name()
    model = tmp_path / ("123" if layout == "version" else "export")
    shutil.copytree(HALF_PLUS_TWO / "1", model)
    ran = tfserve("run", model, "--name", name, "--rest-port", "0", "--grpc-port", "0", "--json")
    assert ran.returncode == 0, ran.stderr
    version = 123 if layout == "version" else 1
    assert json.loads(ran.stdout)["models"] == [
        {"name": name, "versions": [{"version": version, "state": "AVAILABLE"}]}
    ]


def test_serves_an_archive_and_keeps_its_content_while_in_use(
    tmp_path: Path, tfserve: Tfserve, unique_name: Callable[[], str]
) -> None:
    name, cache = unique_name(), {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    archive = shutil.make_archive(str(tmp_path / "model"), "gztar", HALF_PLUS_TWO.parent, HALF_PLUS_TWO.name)
    ran = tfserve("run", archive, "--name", name, "--rest-port", "0", "--grpc-port", "0", "--json", env=cache)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["smoke_test"]["response"] == {"outputs": [2.0]}
    cleared = tfserve("cache", "clear", "--json", env=cache)
    (entry,) = json.loads(cleared.stdout)["kept"]
    assert entry["servers"] == [name]
    assert tfserve("rm", "--force", name).returncode == 0
    assert json.loads(tfserve("cache", "clear", "--json", env=cache).stdout)["removed"] == [entry["digest"]]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory to another user")
def test_serves_a_private_directory_of_another_user(
    tmp_path: Path, tfserve: Tfserve, unique_name: Callable[[], str], docker_client: DockerClient
) -> None:
    model = tmp_path / "private"
    shutil.copytree(HALF_PLUS_TWO, model)
    for path in [model, *model.rglob("*")]:
        os.chown(path, 1234, 1234)
        path.chmod(0o700 if path.is_dir() else 0o600)
    name = unique_name()
    ran = tfserve("run", model, "--name", name, "--rest-port", "0", "--grpc-port", "0")
    assert ran.returncode == 0, ran.stderr
    assert docker_client.api.inspect_container(f"tfserve-{name}")["Config"]["User"] == "1234:1234"


def test_a_path_with_special_characters_is_mounted(
    tmp_path: Path, tfserve: Tfserve, unique_name: Callable[[], str], docker_client: DockerClient
) -> None:
    model = tmp_path / "a:b, \"c\" $(d) 'e' ü"
    shutil.copytree(HALF_PLUS_TWO, model)
    name = unique_name()
    ran = tfserve("run", model, "--name", name, "--rest-port", "0", "--grpc-port", "0", "--no-smoke-test")
    assert ran.returncode == 0, ran.stderr
    assert docker_client.api.inspect_container(f"tfserve-{name}")["Mounts"][0]["Source"] == str(model)


def test_an_explicit_port_that_is_taken_is_an_error(
    tfserve: Tfserve, unique_name: Callable[[], str], docker_client: DockerClient
) -> None:
    name = unique_name()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        ran = tfserve("run", HALF_PLUS_TWO, "--name", name, "--rest-port", port, "--grpc-port", "0")
    assert ran.returncode == 6
    assert port in ran.stderr
    assert "--rest-port" in ran.stderr
    assert not docker_client.api.containers(all=True, filters={"name": name})


def test_a_default_port_that_is_taken_moves(tfserve: Tfserve, unique_name: Callable[[], str]) -> None:
    name = unique_name()
    try:
        listener = socket.create_server(("127.0.0.1", 8501))
    except OSError:  # another program has it, which is equivalent
        listener = socket.socket()
    with listener:
        ran = tfserve("run", HALF_PLUS_TWO, "--name", name, "--grpc-port", "0", "--json")
    assert ran.returncode == 0, ran.stderr
    assert "Port 8501 is taken" in ran.stderr
    assert not json.loads(ran.stdout)["rest_url"].endswith(":8501")


def test_a_name_in_use_is_an_error_and_the_server_is_unaffected(
    tfserve: Tfserve, unique_name: Callable[[], str], docker_client: DockerClient
) -> None:
    name = unique_name()
    arguments = ("run", HALF_PLUS_TWO, "--name", name, "--rest-port", "0", "--grpc-port", "0", "--no-smoke-test")
    assert tfserve(*arguments).returncode == 0
    before = docker_client.api.inspect_container(f"tfserve-{name}")["Id"]
    again = tfserve(*arguments)
    assert again.returncode == 6
    assert "--replace" in again.stderr
    assert docker_client.api.inspect_container(f"tfserve-{name}")["Id"] == before
    replaced = tfserve(*arguments, "--replace")
    assert replaced.returncode == 0, replaced.stderr
    after = docker_client.api.inspect_container(f"tfserve-{name}")["Id"]
    assert after != before
    assert len(docker_client.api.containers(all=True, filters={"label": f"tfserve.name={name}"})) == 1


def test_of_two_concurrent_runs_exactly_one_succeeds(
    tfserve: Tfserve, unique_name: Callable[[], str], docker_client: DockerClient
) -> None:
    name = unique_name()
    arguments = ("run", HALF_PLUS_TWO, "--name", name, "--rest-port", "0", "--grpc-port", "0", "--no-smoke-test")
    processes = [tfserve.start(*arguments) for _ in range(2)]
    codes = sorted(process.wait(timeout=90) for process in processes)
    assert codes == [0, 6]
    assert docker_client.api.inspect_container(f"tfserve-{name}")["State"]["Running"]


def test_a_failed_replacement_restores_the_old_server(
    tmp_path: Path, tfserve: Tfserve, unique_name: Callable[[], str], docker_client: DockerClient
) -> None:
    name = unique_name()
    ports = ("--rest-port", "0", "--grpc-port", "0", "--no-smoke-test")
    assert tfserve("run", HALF_PLUS_TWO, "--name", name, *ports).returncode == 0
    before = docker_client.api.inspect_container(f"tfserve-{name}")["Id"]
    broken = tmp_path / "broken"
    shutil.copytree(HALF_PLUS_TWO, broken)
    (broken / "1" / "variables" / "variables.index").write_bytes(b"")
    failed = tfserve("run", broken, "--name", name, *ports, "--replace")
    assert failed.returncode == 7, failed.stderr
    found = docker_client.api.inspect_container(f"tfserve-{name}")
    assert found["Id"] == before
    assert found["State"]["Running"]


def test_a_server_with_rm_is_removed_when_it_stops(
    tmp_path: Path, tfserve: Tfserve, unique_name: Callable[[], str], docker_client: DockerClient
) -> None:
    name = unique_name()
    arguments = ("--name", name, "--grpc-port", "0", "--no-smoke-test", "--rm")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        assert tfserve("run", HALF_PLUS_TWO, *arguments, "--rest-port", port).returncode == 6
    assert tfserve("run", HALF_PLUS_TWO, *arguments, "--rest-port", "0").returncode == 0

    again = tfserve("restart", name)
    assert again.returncode == 2
    assert "--rm" in again.stderr
    assert docker_client.api.inspect_container(f"tfserve-{name}")["State"]["Running"]

    broken = tmp_path / "broken"
    shutil.copytree(HALF_PLUS_TWO, broken)
    (broken / "1" / "variables" / "variables.index").write_bytes(b"")
    failed = tfserve("run", broken, *arguments, "--rest-port", "0", "--replace")
    assert failed.returncode == 7  # not the error of removing the old one twice
    assert "cannot be loaded" in failed.stderr

    assert tfserve("run", HALF_PLUS_TWO, *arguments, "--rest-port", "0").returncode == 0
    assert tfserve("stop", name).returncode == 0
    assert tfserve("status", name).returncode == 10
