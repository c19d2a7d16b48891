"""The checks before anything starts, and the places in files that their errors name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.packing import model_files, tar_bytes
from tests.program import Copy
from tfserve.config.read import read_servers
from tfserve.engines.choice import check_spec
from tfserve.errors import GpuError, SavedModelError, TfserveError, UsageError, located
from tfserve.models.url import Url
from tfserve.progress import Silent
from tfserve.spec.model import ModelSpec
from tfserve.spec.serve import ServeSpec


def spec(path: Path | Url, **more: Any) -> ServeSpec:
    return ServeSpec("s", (ModelSpec(path, "m", **more),))


def test_valid_models(half_plus_two: Path) -> None:
    bucket, archive = ModelSpec(Url("s3://bucket/m"), "a"), ModelSpec(Url("https://127.0.0.1:1/m.zip"), "b")
    requested = ServeSpec("s", (bucket, archive, ModelSpec(half_plus_two, "c")))
    (directory,) = check_spec(requested, "local", Silent(), download=False)  # nothing is downloaded
    assert directory.path == half_plus_two.resolve()
    with pytest.raises(SavedModelError) as caught:
        check_spec(requested, "auto", Silent())
    assert caught.value.about == ("models", 1, "path")


FILE = """
defaults:
  engine: {engine}
  server_flags: {{batching_parameters_file: {flag_file}}}
servers:
  prod:
    models:
      - path: {path}
        labels: {{stable: {label}}}
        versions: {versions}
        # more
    server_flags: {{num_load_threads: 2}}
    {field}
"""
GOOD = {"path": "./m", "label": "1", "versions": "latest", "flag_file": "good", "engine": "auto", "field": "wait: 1"}


@pytest.mark.parametrize(
    ("wrong", "error", "line", "place", "words"),
    [
        ({"path": "./gone"}, SavedModelError, 8, "models[0].path", "There is no model at"),
        ({"path": "./cut"}, SavedModelError, 8, "models[0].path", "is damaged"),
        ({"label": "7"}, UsageError, 9, "models[0].labels.stable", "is for version 7, which is not served"),
        ({"versions": "[1, 7]"}, UsageError, 10, "models[0].versions", "has no version 7; it has 1."),
        ({"flag_file": "gone"}, UsageError, 4, "defaults", "the file for --batching_parameters_file, does not exist"),
        ({"flag_file": "bad"}, UsageError, 4, "defaults", "line 1, column 1"),
        (
            {"engine": "local", "field": "memory: 1g"},
            UsageError,
            13,
            "memory",
            "memory can only be used with containers",
        ),
        ({"engine": "local", "field": "image: a/b"}, UsageError, 13, "image", "image can only be used with containers"),
        (
            {"engine": "local", "field": "restart: always"},
            UsageError,
            13,
            "restart",
            "restart can only be used with containers",
        ),
        ({"engine": "local", "field": "gpus: 1"}, GpuError, 13, "gpus", "serves on the CPU"),
        ({"engine": "local", "field": "gpu: true"}, GpuError, 13, "gpu", "serves on the CPU"),
    ],
)
def test_errors_have_a_place(
    wrong: dict[str, str], error: type[TfserveError], line: int, place: str, words: str, copied: Copy, tmp_path: Path
) -> None:
    copied("m")
    os.truncate(copied("cut") / "1" / "saved_model.pb", 20)
    (tmp_path / "good").write_text("max_batch_size { value: 2 }")
    (tmp_path / "bad").write_text("max_bacth_size { value: 2 }")
    file = tmp_path / "tfserve.yaml"
    file.write_text(FILE.format(**GOOD))
    (server,) = read_servers(file, {})
    with located(server.locate):
        check_spec(server.spec, server.options.engine, Silent())
    file.write_text(FILE.format(**{**GOOD, **wrong}))
    (server,) = read_servers(file, {})
    with pytest.raises(error) as caught, located(server.locate):
        check_spec(server.spec, server.options.engine, Silent())
    where = "defaults.server_flags.batching_parameters_file" if place == "defaults" else f"servers.prod.{place}"
    assert caught.value.message.startswith(f"{file}, line {line}, {where}: "), caught.value.message
    assert words in caught.value.message
    assert caught.value.hint
    assert "--engine" not in caught.value.hint


@pytest.mark.parametrize("tags", ["", "serve,", ","])
def test_empty_tags_mean_serve(tags: str, half_plus_two: Path) -> None:
    requested = ServeSpec("s", (ModelSpec(half_plus_two, "m"),), server_flags=(f"--saved_model_tags={tags}",))
    assert check_spec(requested, "local", Silent())


@pytest.mark.parametrize(
    ("base_path", "more", "error", "words", "hint"),
    [
        ("gone", "", SavedModelError, "There is no model at", "that contains the versions"),
        ("m.zip", "", SavedModelError, "m.zip' is a file, but a model is a directory.", "that contains the versions"),
        (
            *("m", "model_version_policy { specific { versions: 7 } }", UsageError),
            *("The model 'm' has no version 7; it has 1.", "Choose other versions"),
        ),
        (
            *("m", "version_labels { key: 'a' value: 7 }", UsageError),
            *("is for version 7, which is not served", "with model_version_policy: all,"),
        ),
    ],
)
def test_errors_in_a_users_own_config(
    base_path: str, more: str, error: type[TfserveError], words: str, hint: str, copied: Copy, tmp_path: Path
) -> None:
    copied("m")
    (tmp_path / "m.zip").write_text("")
    config = tmp_path / "models.config"
    entry = f'name: "m" base_path: "{tmp_path / base_path}" model_platform: "tensorflow" {more}'
    config.write_text(f"model_config_list {{\n config {{ {entry} }} }}")
    file = tmp_path / "tfserve.yaml"
    file.write_text("servers:\n  prod:\n    config: models.config\n")
    (server,) = read_servers(file, {})
    with pytest.raises(error) as caught, located(server.locate):
        check_spec(server.spec, "auto", Silent())
    place = f"{file}, line 3, servers.prod.config: {str(config)!r}, line 2: "
    assert caught.value.message.startswith(place)
    assert words in caught.value.message
    assert hint in str(caught.value.hint)


def test_local_archive(half_plus_two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    archive = tmp_path / "m.tar.gz"
    archive.write_bytes(tar_bytes(model_files(half_plus_two)))
    assert check_spec(spec(archive), "auto", Silent(), download=False)[0].versions[0].number == 1
    for more, about in (
        ({"sha256": "0" * 64}, ("models", 0, "path")),
        ({"labels": {"a": 2}}, ("models", 0, "labels", "a")),
    ):
        with pytest.raises(TfserveError) as caught:
            check_spec(spec(archive, **more), "auto", Silent(), download=False)
        assert caught.value.about == about
    with pytest.raises(UsageError, match="is not an archive, so it has no digest") as refused:
        check_spec(spec(half_plus_two, sha256="0" * 64), "auto", Silent())
    assert refused.value.about == ("models", 0, "sha256")
