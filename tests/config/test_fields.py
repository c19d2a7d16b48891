"""What ``tfserve run`` can say a file can say, and the other way round."""

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
from tfserve.config.fields import FIELDS
from tfserve.config.read import MODEL_FIELDS, read_servers
from tfserve.config.schema import json_schema
from tfserve.config.template import first_file
from tfserve.host.ports import any_free_port
from tfserve.protos.server_flags import SERVER_FLAGS
from tfserve.spec.serve import LaunchOptions, ModelSpec, ServeSpec

ABOUT_THE_MODELS = {"--name", "--model-name", "--config", "--versions", "--label", "--sha256"}
"""The server's key, ``models`` and ``config``; what the model's fields are is in `MODEL_FIELDS`."""
ABOUT_THE_COMMAND = {"--foreground", "--replace", "--save", "--dry-run", "--json"}
"""What is not about the server, but about this one run of it; ``up`` always replaces."""


def options_of(name: str) -> set[str]:
    command: Any = get_command(cli.build_app([name]))
    parameters = command.commands[name].params
    return {next(name for name in p.opts if name.startswith("--")) for p in parameters if p.param_type_name == "option"}


def test_every_option_of_run_is_a_field_and_the_other_way_round() -> None:
    fields = {option for field in FIELDS for option in field.option.split()} - {"--"}  # the server's flags
    assert fields | ABOUT_THE_MODELS | ABOUT_THE_COMMAND == options_of("run")


def test_every_part_of_a_spec_is_a_field() -> None:
    written = {(field.launch, field.attribute) for field in FIELDS}
    spec = {(False, field.name) for field in dataclasses.fields(ServeSpec)}
    options = {(True, field.name) for field in dataclasses.fields(LaunchOptions)}
    assert (spec | options) - written == {
        *((False, name) for name in ("name", "models", "config")),
        *((True, name) for name in ("replace", "smoke_request")),  # the latter is smoke_test too
    }
    assert written < spec | options
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
def test_what_run_saves_is_what_up_starts(
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
    assert "is there already" in saved.stderr


def test_a_first_file(half_plus_two: Path, tmp_path: Path) -> None:
    text = first_file("half_plus_two", str(half_plus_two))
    file = tmp_path / "tfserve.yaml"
    file.write_text(text)
    (found,) = read_servers(file, {})
    assert found.spec == ServeSpec("half_plus_two", (ModelSpec(half_plus_two, "half_plus_two"),))
    assert found.options == LaunchOptions()
    # Every example in a comment is one that works.
    examples = {field.name: field.example for field in FIELDS}
    assert all(examples.values())
    assert "    # config: ./models.config  " in text
    for name, example in examples.items():
        file.write_text(re.sub(rf"^    # ({name}: )", r"    \1", text, flags=re.MULTILINE))
        read_servers(file, {})
        assert f"# {name}: {example} " in text


def test_the_schema_has_every_field() -> None:
    schema: Any = json_schema()
    assert json.loads(json.dumps(schema)) == schema
    server = schema["properties"]["servers"]["additionalProperties"]["properties"]
    assert list(server) == ["models", "config", *(field.name for field in FIELDS)]
    assert list(schema["properties"]["defaults"]["properties"]) == [field.name for field in FIELDS]
    assert all(part["description"] for part in server.values())
    flags = set(server["server_flags"]["properties"])
    assert flags < {flag.name for flag in SERVER_FLAGS}
    assert {"enable_batching", "model_config_file"} & flags == {"enable_batching"}
