from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tfserve.models.saved_model import find_model
from tfserve.models.url import Url
from tfserve.plan.spec_label import flag_files_from_label, recorded_spec, spec_from_label, spec_json
from tfserve.spec.gpus import GpuRequest
from tfserve.spec.model import ModelSpec
from tfserve.spec.port_request import PortRequest
from tfserve.spec.serve import ServeSpec
from tfserve.spec.versions import VersionPolicy

DIGESTS = {"ssl_config_file": "0" * 64}


def spec(model: Path, **changes: Any) -> ServeSpec:
    return ServeSpec(**{"name": "s", "models": (ModelSpec(model, "m"),), **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"config": Path("/etc/models.config")},
        {"image": "me/serving", "tag": "2", "platform": "linux/arm64"},
        {"host": "0.0.0.0", "rest_port": PortRequest(0, explicit=True), "grpc_port": PortRequest(None, explicit=True)},
        {"environment": {"A": "", "B": ""}},
        {"memory": 2**30, "cpus": 1.5, "restart": "on-failure:3"},
        {"remove": True, "gpu": False},
        {"gpus": GpuRequest(devices=("0", "2")), "gpu_memory_fraction": 0.25, "gpu_memory_growth": True},
        {"batching": {"max_batch_size": 64, "pad_variable_length_inputs": True, "allowed_batch_sizes": (2, 64)}},
        {"batching": {}, "monitoring": "/metrics", "server_flags": ("--tensorflow_session_parallelism=2",)},
        {
            "models": (
                ModelSpec(Url("gs://bucket/m"), "m", VersionPolicy(None), {"stable": 1}),
                ModelSpec(Url("s3://bucket/n"), "n", VersionPolicy(1, (1, 3))),
            )
        },
        {"models": (), "image": "me/packaged"},
    ],
)
def test_round_trip(half_plus_two: Path, changes: dict[str, Any]) -> None:
    written = spec(half_plus_two, **changes)
    directories = [find_model(model.path) for model in written.models if isinstance(model.path, Path)]
    label = spec_json(written, directories, DIGESTS)
    assert spec_from_label(label) == recorded_spec(written, directories) == written
    assert flag_files_from_label(label) == DIGESTS
    assert flag_files_from_label(spec_json(written, directories)) == {}


def test_values_of_the_environment_are_not_recorded(half_plus_two: Path) -> None:
    label = spec_json(spec(half_plus_two, environment={"TOKEN": "s3cret"}), [find_model(half_plus_two)])
    assert "s3cret" not in label
    read = spec_from_label(label)
    assert read is not None
    assert read.environment == {"TOKEN": ""}


def test_label_of_another_version(half_plus_two: Path) -> None:
    models = [{"name": "m", "path": str(half_plus_two)}]
    assert spec_from_label(json.dumps({"name": "s", "models": models})) == spec(half_plus_two)
    assert spec_from_label(json.dumps({"name": "s", "models": models, "added_later": 1})) == spec(half_plus_two)


@pytest.mark.parametrize(
    "label",
    [
        "",
        "{",
        "null",
        "[]",
        '"x"',
        "{}",
        '{"name": "s"}',
        '{"name": "s", "models": [1]}',
        '{"name": "s", "models": [{"name": "m"}]}',
        '{"name": "s", "models": [{"name": "a/b", "path": "/m"}]}',
        '{"name": "s", "models": [{"name": "m", "path": "ftp://m"}]}',
        '{"name": "s", "models": [], "image": "me/m", "rest_port": 8501}',
        '{"name": "s", "models": [], "image": "me/m", "restart": "sometimes"}',
        '{"name": "s", "models": [], "image": "me/m", "gpus": "all"}',
        '{"name": "s", "models": [], "image": "me/m", "server_flags": 1}',
    ],
)
def test_damaged_labels(label: str) -> None:
    assert spec_from_label(label) is None


@pytest.mark.parametrize("label", ["", "{", "null", "[]", '{"flag_files": 1}', '{"flag_files": [1]}'])
def test_damaged_digests(label: str) -> None:
    assert flag_files_from_label(label) == {}
