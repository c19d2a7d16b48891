"""The JSON Schema in a validator such as editors use: it accepts the files that tfserve accepts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.config.test_read import EVERYTHING
from tests.conftest import EXAMPLES
from tfserve.config.read import read_servers
from tfserve.config.schema import json_schema
from tfserve.config.template import first_file
from tfserve.errors import TfserveError
from tfserve.protos.server_flags import SERVER_FLAGS
from tfserve.spec.fields import FIELDS
from tfserve.spec.server_configs import BATCHING

CONFIGS = sorted((EXAMPLES.parent / "configs").glob("*.yaml"))
VALIDATOR = Draft202012Validator(json_schema())


def validation_errors(text: str) -> Iterator[Any]:
    return VALIDATOR.iter_errors(yaml.safe_load(text))


def test_schema_is_valid() -> None:
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_example_files(file: Path) -> None:
    assert list(validation_errors(file.read_text())) == []


def test_file_with_every_field() -> None:
    assert list(validation_errors(EVERYTHING)) == []


def test_first_file_without_comment_signs() -> None:
    text = re.sub(r"^( +)# (?!config)(?=\w+: )", r"\1", first_file("m", "./m"), flags=re.MULTILINE)
    assert yaml.safe_load(text)["servers"]["m"]["gpus"] == [0]
    assert list(validation_errors(text)) == []


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
        (f"servers: {{{'a' * 129}: {{models: [m]}}}}", ["servers"]),
        ("{defaults: {models: [m]}, servers: {a: {models: [m]}}}", ["defaults"]),
    ],
)
def test_invalid_files(text: str, place: list[object]) -> None:
    assert place in [list(error.absolute_path) for error in validation_errors(text)]


WORDS = [
    *("true", "false", "auto", "none", "None", "all", "always", "never", "docker", "linux/amd64", "localhost", "::1"),
    *("0", "1", "1.5", "1e3", ".5", "64", "8501", "0,2", "2,1000", "2g", "6000000", "on-failure:2", "A", "A=1", "/p"),
    *("latest", "latest=2", "a/b:1", "{}", "./m", "$A", "${A:-true}", "0" * 64),
]
NUMBERS = st.integers(-1, 9000) | st.sampled_from([0.5, 1.0, 6e6, 10**64])
SCALARS = st.sampled_from(WORDS) | NUMBERS | st.booleans() | st.none() | st.text("0a.-", max_size=3)
LISTS = st.lists(SCALARS, max_size=3)
KEYS = st.sampled_from(["A", "path", *BATCHING]) | st.sampled_from([flag.name for flag in SERVER_FLAGS])
MAPPINGS = st.dictionaries(KEYS, SCALARS | LISTS, max_size=2)
PARTS = SCALARS | LISTS | MAPPINGS
MODELS = st.fixed_dictionaries(
    {"path": SCALARS},
    optional={"name": SCALARS, "versions": PARTS, "labels": MAPPINGS | SCALARS, "sha256": SCALARS},
)


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_schema_refuses_no_valid_file(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["models", *(field.name for field in FIELDS)]))
    value = data.draw(st.lists(MODELS | SCALARS, min_size=1, max_size=2) if name == "models" else PARTS)
    text = yaml.safe_dump({"servers": {"a": {"models": [{"path": "m", "name": "m"}], name: value}}})
    file = tmp_path_factory.getbasetemp() / "agreed.yaml"
    file.write_text(text)
    (file.parent / "request.json").write_text("{}")
    with suppress(TfserveError):
        read_servers(file, {"A": "1"})
        assert [error.message for error in validation_errors(text)] == []


@pytest.mark.parametrize("field", ["image: 2", "image: true", "tag: 2.10", "smoke_test: 1"])
def test_scalars_are_text(field: str) -> None:
    assert list(validation_errors(f"servers: {{a: {{models: [1, {{path: 2, name: 3}}], {field}}}}}")) == []
