"""The files of ``configs/`` that need Docker; the one for a GPU is tested with the engines that offer GPUs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from .conftest import Tfserve
from .dockerd import Dockerd
from .test_dry_run import HALF_PLUS_TWO

CONFIGS = HALF_PLUS_TWO.parents[1] / "configs"


def renamed(file: str, name: str, directory: Path) -> Path:
    """A copy of the file in which the server has another name, as the engine may already have one of that name."""
    copy = directory / "configs" / file
    copy.parent.mkdir()
    copy.write_text((CONFIGS / file).read_text().replace("\n  half_plus_two:", f"\n  {name}:"))
    return copy


def test_a_packaged_image(tfserve: Tfserve, unique_name: Callable[..., str], tmp_path: Path) -> None:
    name, image = unique_name(), f"{unique_name()}:1"
    packaged = tfserve("package", HALF_PLUS_TWO, "--image", image)
    assert packaged.returncode == 0, packaged.stderr
    file = renamed("packaged_image.yaml", name, tmp_path)
    up = tfserve("up", "-f", file, env={"IMAGE": image})
    assert up.returncode == 0, up.stderr
    assert json.loads(tfserve("predict", name, "1", "2", "5", "--json").stdout) == {"predictions": [2.5, 3.0, 4.5]}
    assert tfserve("down", "-f", file, env={"IMAGE": image}).returncode == 0


def test_a_bucket(tfserve: Tfserve, unique_name: Callable[..., str], tmp_path: Path) -> None:
    """The stand-in does not support buckets, so the test ends with the server's own error."""
    file = renamed("bucket.yaml", unique_name(), tmp_path)
    secrets = {"BUCKET": "s3://bucket", "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI"}
    dry = tfserve("up", "-f", file, "--dry-run", env=secrets)
    assert dry.returncode == 0, dry.stderr
    assert "s3://bucket/models/half_plus_two" in dry.stdout
    assert "AWS_SECRET_ACCESS_KEY" in dry.stdout
    assert "wJalrXUtnFEMI" not in dry.stdout + dry.stderr
    up = tfserve("up", "-f", file, env=secrets)
    assert up.returncode == 7
    assert "File system scheme 's3' not implemented" in up.stderr
    assert "wJalrXUtnFEMI" not in up.stdout + up.stderr


def test_every_other_file(throwaway_engine: Dockerd, tfserve: Tfserve) -> None:
    """The files that are tested without Docker name no engine, so they also work with Docker."""
    for file in ("one_model", "many_models", "labels", "batching", "monitoring", "servers"):
        up = tfserve("up", "-f", CONFIGS / f"{file}.yaml", env={"DOCKER_HOST": throwaway_engine.host})
        assert up.returncode == 0, up.stderr
        assert "docker" in up.stdout
        down = tfserve("down", "-f", CONFIGS / f"{file}.yaml", env={"DOCKER_HOST": throwaway_engine.host})
        assert down.returncode == 0, down.stderr
