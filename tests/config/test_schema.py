"""The JSON Schema in a validator such as editors have: it accepts what tfserve reads, and refuses what tfserve does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.config.test_servers import EVERYTHING
from tests.conftest import EXAMPLES
from tfserve.config.schema import json_schema
from tfserve.config.template import first_file

CONFIGS = sorted((EXAMPLES.parent / "configs").glob("*.yaml"))
VALIDATOR = Draft202012Validator(json_schema())


def complaints(text: str) -> Iterator[Any]:
    return VALIDATOR.iter_errors(yaml.safe_load(text))


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_the_ready_made_files(file: Path) -> None:
    assert list(complaints(file.read_text())) == []


def test_a_file_with_everything() -> None:
    assert list(complaints(EVERYTHING)) == []


def test_a_first_file_with_all_its_comments_taken_away() -> None:
    text = re.sub(r"^( +)# (?=\w+: )", r"\1", first_file("m", "./m"), flags=re.MULTILINE)
    assert yaml.safe_load(text)["servers"]["m"]["gpus"] == [0]
    assert list(complaints(text)) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("server: {}", []),
        ("servers: {}", ["servers"]),
        ("servers: {a: {}}", ["servers", "a"]),
        ("servers: {a: {models: m}}", ["servers", "a", "models"]),
        ("servers: {a: {models: [m], config: c}}", ["servers", "a"]),
        ("servers: {a: {models: [{name: m}]}}", ["servers", "a", "models", 0]),
        ("servers: {a: {models: [m], modles: 1}}", ["servers", "a"]),
        ("servers: {a: {models: [m], rest_port: 70000}}", ["servers", "a", "rest_port"]),
        ("servers: {a: {models: [m], engine: podman}}", ["servers", "a", "engine"]),
        ("servers: {a: {models: [m], server_flags: {enable_batchin: true}}}", ["servers", "a", "server_flags"]),
        ("servers: {a: {models: [m], server_flags: {port: 1}}}", ["servers", "a", "server_flags"]),
        ("servers: {a: {models: [m], batching: {max_batch: 1}}}", ["servers", "a", "batching"]),
        ("servers: {a b: {models: [m]}}", ["servers"]),
        ("{defaults: {models: [m]}, servers: {a: {models: [m]}}}", ["defaults"]),
    ],
)
def test_what_is_wrong(text: str, place: list[object]) -> None:
    assert place in [list(error.absolute_path) for error in complaints(text)]
