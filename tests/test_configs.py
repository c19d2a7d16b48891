"""Starts the servers of the files in ``configs/``. ``tests/e2e`` has the files that need Docker."""

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
def started(tfserve: Program, request: pytest.FixtureRequest) -> Iterator[Program]:
    """The program, after ``tfserve up`` with the file that is the parameter of the test."""
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


@pytest.mark.parametrize("started", ["one_model.yaml", "batching.yaml"], indirect=True)
def test_one_model(started: Program) -> None:
    assert predicts(started, "half_plus_two", "1", "2", "5") == [2.5, 3.0, 4.5]


@pytest.mark.parametrize("started", ["many_models.yaml"], indirect=True)
def test_many_models(started: Program) -> None:
    assert predicts(started, "models/half_plus_two", "1", "2", "5") == [2.5, 3.0, 4.5]
    assert predicts(started, "models/newest", "1", "2", "5") == [3.5, 4.0, 5.5]
    added = started("models", "models", "add", EXAMPLES / "half_plus_n")
    assert added.returncode == 0, added.stderr
    assert predicts(started, "models/half_plus_n", "1") == [3.5]


@pytest.mark.parametrize("started", ["labels.yaml"], indirect=True)
def test_labels(started: Program) -> None:
    assert predicts(started, "half_plus_n", "1", "2", "5", "--label", "stable") == [2.5, 3.0, 4.5]
    assert predicts(started, "half_plus_n", "1", "2", "5", "--label", "canary") == [3.5, 4.0, 5.5]
    assert started("models", "half_plus_n", "label", "stable=3").returncode == 0
    assert predicts(started, "half_plus_n", "1", "--label", "stable") == [3.5]


@pytest.mark.parametrize("started", ["monitoring.yaml"], indirect=True)
def test_monitoring(started: Program) -> None:
    assert predicts(started, "1") == [2.5]
    assert ":tensorflow:serving:request_count" in page(started, "/monitoring/prometheus/metrics").text


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
    assert changed.stderr.startswith("staging: recreate (rest_port changed)\n")  # and nothing about the other server
    assert tfserve("down", "-f", file).returncode == 0


def test_tls(tfserve: Program, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, with which the example makes a certificate, was not found")
    configs = Path(shutil.copytree(CONFIGS, tmp_path / "configs"))
    (tmp_path / "examples").symlink_to(EXAMPLES)
    subprocess.run(["sh", EXAMPLES / "make_ssl_config.sh", configs], check=True)
    assert (configs / "ssl.config").stat().st_mode & 0o077 == 0
    up = tfserve("up", "-f", configs / "tls.yaml")
    assert up.returncode == 0, up.stderr
    request = ("predict", "half_plus_two", "1", "2", "5", "--api", "grpc", "--json")
    trusting = tfserve(*request, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=str(configs / "localhost.pem"))
    assert (trusting.returncode, trusting.stdout) == (0, '{"predictions": [2.5, 3.0, 4.5]}\n'), trusting.stderr
    untrusting = tfserve(*request)
    assert (untrusting.returncode, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH" in untrusting.stderr) == (8, True)


def test_an_archive(tfserve: Program) -> None:
    archive = tar_bytes(model_files(EXAMPLES / "half_plus_two"))
    with file_server() as server:
        server.files["/half_plus_two.tar.gz"] = archive
        url, digest = f"{server.url}/half_plus_two.tar.gz", hashlib.sha256(archive).hexdigest()
        up = tfserve("up", "-f", CONFIGS / "archive.yaml", MODEL_URL=url, MODEL_SHA256=digest)
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


def test_the_files_of_the_model_server_equal_the_fields_of_yaml() -> None:
    batching, monitoring = (read_servers(CONFIGS / f"{name}.yaml", {})[0].spec for name in ("batching", "monitoring"))
    for file, text, kind in (
        ("batching.config", batching_text(batching.batching or {}), BatchingParameters),
        ("monitoring.config", monitoring_text(str(monitoring.monitoring)), MonitoringConfig),
    ):
        in_file, in_yaml = kind(), kind()
        parse_text((CONFIGS / file).read_bytes(), in_file)
        parse_text(text.encode(), in_yaml)
        assert in_file == in_yaml
