"""The table of fields as it appears in ``tfserve run``, in files and in their JSON Schema."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from tests.program import Program
from tfserve import cli
from tfserve.config.read import read_servers
from tfserve.config.schema import json_schema
from tfserve.config.template import first_file
from tfserve.host.ports import any_free_port
from tfserve.protos.own_server_flags import ALL_FLAGS_BY_NAME
from tfserve.spec.fields import FIELDS
from tfserve.spec.model import MODEL_FIELDS, ModelSpec
from tfserve.spec.serve import LaunchOptions, ServeSpec

MODEL_OPTIONS = {"--name", "--model-name", "--versions", "--label", "--sha256"}
"""Options for the key of a server in a file, and for the fields of a model."""
COMMAND_OPTIONS = {"--foreground", "--save", "--dry-run", "--json"}
"""Options of the command, which do not describe the server."""
IN_FILES = [field for field in FIELDS if field.key is not None]


def options_of(name: str) -> set[str]:
    command: Any = get_command(cli.build_app([name]))
    parameters = command.commands[name].params
    return {next(name for name in p.opts if name.startswith("--")) for p in parameters if p.param_type_name == "option"}


def test_every_option_of_run_is_a_field() -> None:
    fields = {name for field in FIELDS for name in (field.option_name, field.off_option)} - {"", "--", "--no-gpu"}
    assert fields | MODEL_OPTIONS | COMMAND_OPTIONS == options_of("run")
    assert all(field.off_help for field in FIELDS if field.argument == "value or off")


def test_every_attribute_of_a_spec_is_a_field() -> None:
    attributes = {(False, field.name) for field in dataclasses.fields(ServeSpec)} - {(False, "name"), (False, "models")}
    attributes |= {(True, field.name) for field in dataclasses.fields(LaunchOptions)}
    assert {(field.launch, field.attribute) for field in FIELDS} == attributes
    assert [field.name for field in dataclasses.fields(ModelSpec)] == list(MODEL_FIELDS)


EVERYTHING = (
    *("--model-name", "other", "--versions", "all", "--label", "stable=1", "--engine", "docker"),
    *("--rest-port", "{port}", "--grpc-port", "none", "--host", "0.0.0.0", "--image", "my/serving", "--tag", "2.10"),
    *("--platform", "linux/amd64", "--pull", "never", "--env", "A=$b '\n", "--memory", "1g", "--cpus", "1.5"),
    *("--restart", "no", "--batching", "max_batch_size=8", "--batching", "allowed_batch_sizes=2,8"),
    *("--monitoring", "on", "--gpus", "0,2", "--gpu-memory-fraction", "0.3", "--gpu-memory-growth"),
    *("--rm", "--keep-failed", "--wait", "7", "--no-smoke-test"),
    *("--", "--num_load_threads=2", "--enable_model_warmup", "--ssl_config_file=ssl $.txt"),
)


@pytest.mark.parametrize(
    "options",
    [("--engine", "docker", "--rest-port", "{port}", "--grpc-port", "none"), EVERYTHING],
    ids=["defaults", "everything"],
)
def test_up_starts_what_run_saves(
    options: tuple[str, ...], tfserve: Program, half_plus_two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = tuple(option.format(port=any_free_port("127.0.0.1")) for option in options)
    (tmp_path / "ssl $.txt").write_text('server_key: "k"')
    ran = tfserve("run", half_plus_two, "--name", "prod", "--save", "saved.yaml", "--dry-run", "--json", *options)
    assert ran.returncode == 0, ran.stderr
    brought_up = tfserve.json("up", "-f", "saved.yaml", "--dry-run")
    (step,) = brought_up
    assert (step["name"], step["action"]) == ("prod", "create")
    assert step["command"] == json.loads(ran.stdout)["command"]
    text = (tmp_path / "saved.yaml").read_text()
    saved = tfserve("run", half_plus_two, "--name", "prod", "--save", "saved.yaml", "--dry-run")
    assert (saved.returncode, (tmp_path / "saved.yaml").read_text()) == (2, text)
    assert "already exists" in saved.stderr


def test_first_file(half_plus_two: Path, tmp_path: Path) -> None:
    text = first_file("half_plus_two", str(half_plus_two))
    file = tmp_path / "tfserve.yaml"
    file.write_text(text)
    (found,) = read_servers(file, {})
    assert found.spec == ServeSpec("half_plus_two", (ModelSpec(half_plus_two, "half_plus_two"),))
    assert found.options == LaunchOptions()
    # Every example in a comment is valid.
    examples = {field.name: field.example for field in IN_FILES if field.shared}
    assert all(examples.values())
    assert "    # config: ./models.config  " in text
    for name, example in examples.items():
        file.write_text(re.sub(rf"^    # ({name}: )", r"    \1", text, flags=re.MULTILINE))
        read_servers(file, {})
        assert f"# {name}: {example} " in text


def test_schema_has_every_field() -> None:
    schema: Any = json_schema()
    assert json.loads(json.dumps(schema)) == schema
    server = schema["properties"]["servers"]["additionalProperties"]["properties"]
    assert list(server) == ["models", *(field.name for field in IN_FILES)]
    assert list(schema["properties"]["defaults"]["properties"]) == [field.name for field in IN_FILES if field.shared]
    assert all(part["description"] for part in server.values())
    flags = set(server["server_flags"]["anyOf"][0]["properties"])
    assert flags < ALL_FLAGS_BY_NAME.keys()
    assert {"enable_batching", "model_config_file"} & flags == {"enable_batching"}
