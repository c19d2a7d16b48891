"""The files of ``configs/``, as a user brings them up; those that need Docker are tried in ``tests/e2e``."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.conftest import EXAMPLES
from tests.file_server import file_server
from tests.free_ports import free_ports
from tests.packing import model_files, tar_bytes
from tests.program import Program
from tfserve.config.read import read_servers
from tfserve.protos.server_config_pb2 import BatchingParameters, MonitoringConfig
from tfserve.protos.text_files import parse_text
from tfserve.spec.server_configs import batching_text, monitoring_text

CONFIGS = EXAMPLES.parent / "configs"


@pytest.fixture
def brought_up(tfserve: Program, request: pytest.FixtureRequest) -> Iterator[Program]:
    """The program, with the servers of the file that is the test's parameter."""
    file = CONFIGS / request.param
    done = tfserve("up", "-f", file)
    assert done.returncode == 0, done.stderr
    yield tfserve
    assert tfserve("down", "-f", file).returncode == 0
    assert tfserve.server_names() == []


def predicts(tfserve: Program, *words: str) -> list[float]:
    predictions: list[float] = tfserve.json("predict", *words)["predictions"]
    return predictions


def page(tfserve: Program, path: str) -> requests.Response:
    return requests.get(f"{tfserve.json('status')['rest_url']}{path}", timeout=10)


@pytest.mark.parametrize("brought_up", ["one_model.yaml", "batching.yaml"], indirect=True)
def test_one_model(brought_up: Program) -> None:
    assert predicts(brought_up, "half_plus_two", "1", "2", "5") == [2.5, 3.0, 4.5]


@pytest.mark.parametrize("brought_up", ["many_models.yaml"], indirect=True)
def test_many_models(brought_up: Program) -> None:
    assert predicts(brought_up, "models/half_plus_two", "1", "2", "5") == [2.5, 3.0, 4.5]
    assert predicts(brought_up, "models/newest", "1", "2", "5") == [3.5, 4.0, 5.5]
    added = brought_up("models", "models", "add", EXAMPLES / "half_plus_n")
    assert added.returncode == 0, added.stderr
    assert predicts(brought_up, "models/half_plus_n", "1") == [3.5]


@pytest.mark.parametrize("brought_up", ["labels.yaml"], indirect=True)
def test_labels(brought_up: Program) -> None:
    assert predicts(brought_up, "half_plus_n", "1", "2", "5", "--label", "stable") == [2.5, 3.0, 4.5]
    assert predicts(brought_up, "half_plus_n", "1", "2", "5", "--label", "canary") == [3.5, 4.0, 5.5]
    assert brought_up("models", "half_plus_n", "label", "stable=3").returncode == 0
    assert predicts(brought_up, "half_plus_n", "1", "--label", "stable") == [3.5]


@pytest.mark.parametrize("brought_up", ["monitoring.yaml"], indirect=True)
def test_monitoring(brought_up: Program) -> None:
    assert predicts(brought_up, "1") == [2.5]
    assert ":tensorflow:serving:request_count" in page(brought_up, "/monitoring/prometheus/metrics").text


def test_two_servers_of_one_file(tfserve: Program) -> None:
    file = CONFIGS / "servers.yaml"
    production, staging, other = map(str, free_ports(3))
    ports = {"PRODUCTION_PORT": production, "STAGING_PORT": staging}
    up = tfserve("up", "-f", file, **ports)
    assert up.returncode == 0, up.stderr
    assert predicts(tfserve, "production", "1") == [2.5]
    assert predicts(tfserve, "staging", "1") == [3.5]
    ports["STAGING_PORT"] = other
    changed = tfserve("up", "-f", file, **ports)
    assert changed.stderr.startswith("staging: recreate (rest_port changed)\n")  # and nothing of the other
    assert tfserve("down", "-f", file).returncode == 0


def test_tls(tfserve: Program, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl, with which the example makes a certificate")
    configs = Path(shutil.copytree(CONFIGS, tmp_path / "configs"))
    (tmp_path / "examples").symlink_to(EXAMPLES)
    subprocess.run(["sh", EXAMPLES / "make_ssl_config.sh", configs], check=True)
    assert (configs / "ssl.config").stat().st_mode & 0o077 == 0
    up = tfserve("up", "-f", configs / "tls.yaml")
    assert up.returncode == 0, up.stderr
    ask = ("predict", "half_plus_two", "1", "2", "5", "--api", "grpc", "--json")
    trusting = tfserve(*ask, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=str(configs / "localhost.pem"))
    assert (trusting.returncode, trusting.stdout) == (0, '{"predictions": [2.5, 3.0, 4.5]}\n'), trusting.stderr
    stranger = tfserve(*ask)
    assert (stranger.returncode, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH" in stranger.stderr) == (8, True)


def test_an_archive(tfserve: Program) -> None:
    archive = tar_bytes(model_files(EXAMPLES / "half_plus_two"))
    with file_server() as server:
        server.files["/half_plus_two.tar.gz"] = archive
        told = {"MODEL_URL": f"{server.url}/half_plus_two.tar.gz", "MODEL_SHA256": hashlib.sha256(archive).hexdigest()}
        up = tfserve("up", "-f", CONFIGS / "archive.yaml", **told)
        assert up.returncode == 0, up.stderr
    assert predicts(tfserve, "half_plus_two", "1") == [2.5]
    missing = tfserve("up", "-f", CONFIGS / "archive.yaml")
    assert (missing.returncode, "the address of an archive of a SavedModel" in missing.stderr) == (2, True)


def test_files_of_the_model_server(tfserve: Program, tmp_path: Path) -> None:
    models = tmp_path / "models.config"
    models.write_text((CONFIGS / "models.config").read_text().replace("/srv/models", str(EXAMPLES)))
    ran = tfserve("run", "--config", models, "--name", "models")
    assert ran.returncode == 0, ran.stderr
    assert predicts(tfserve, "half_plus_n", "1", "--label", "stable") == [2.5]
    assert predicts(tfserve, "half_plus_n", "1", "--label", "canary") == [3.5]
    assert tfserve("rm", "--force", "models").returncode == 0
    flags = (f"--{name}_file={CONFIGS / file}" for name, file in FLAGS.items())
    ran = tfserve("run", EXAMPLES / "half_plus_two", "--", "--enable_batching", *flags)
    assert ran.returncode == 0, ran.stderr
    assert page(tfserve, "/monitoring/prometheus/metrics").ok


FLAGS = {"batching_parameters": "batching.config", "monitoring_config": "monitoring.config"}


def test_the_model_servers_files_say_what_the_blocks_of_yaml_say() -> None:
    batching, monitoring = (read_servers(CONFIGS / f"{name}.yaml", {})[0].spec for name in ("batching", "monitoring"))
    for file, block, kind in (
        ("batching.config", batching_text(batching.batching or {}), BatchingParameters),
        ("monitoring.config", monitoring_text(str(monitoring.monitoring)), MonitoringConfig),
    ):
        ours, theirs = kind(), kind()
        parse_text((CONFIGS / file).read_bytes(), ours)
        parse_text(block.encode(), theirs)
        assert ours == theirs
