"""``tfserve models`` on a real server: its models change while clients send requests, and no request fails."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.constant_load import constant_load
from tests.packing import model_files, tar_bytes
from tests.program import Copy, Program, assert_error
from tfserve.cli import build_app
from tfserve.protos.saved_model_pb2 import SavedModel

PORTS = ("--engine", "local", "--rest-port", "0", "--grpc-port", "0")


def states(tfserve: Program) -> dict[str, dict[int, tuple[str, list[str]]]]:
    """The state and labels of each version of each model, as ``tfserve models`` reports them."""
    return {
        model["name"]: {v["version"]: (v["state"], v["labels"]) for v in model["versions"]}
        for model in tfserve.json("models")
    }


@pytest.fixture(scope="module")
def two(shared_tfserve: Program, half_plus_two: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server of two models, ``a`` with versions 1 and 2, and ``b``, for tests that do not change it."""
    a = tmp_path_factory.mktemp("models") / "a"
    for version in ("1", "2", "3"):
        shutil.copytree(half_plus_two / "1", a / version)
    options = ("--versions", "a:1,2", "--label", "a:stable=1", "--name", "prod")
    yield shared_tfserve.json("run", a, f"{half_plus_two}=b", *options, *PORTS)


def test_several_models(two: dict[str, Any], shared_tfserve: Program) -> None:
    assert [model["name"] for model in two["models"]] == ["a", "b"]
    assert two["health"] == "available"
    assert states(shared_tfserve) == {
        "a": {2: ("AVAILABLE", []), 1: ("AVAILABLE", ["stable"])},
        "b": {1: ("AVAILABLE", [])},
    }
    head, first, *_ = shared_tfserve("models", "prod").stdout.splitlines()
    assert head.split() == ["MODEL", "SERVED", "VERSION", "STATE", "LABELS"]
    assert first.split() == ["a", "1,2", "2", "AVAILABLE", "-"]
    (listed,) = shared_tfserve.json("ps")
    assert listed["models"] == two["models"]
    for name in ("b", "prod/b"):
        assert shared_tfserve.json("predict", name, "1", "2") == {"predictions": [2.5, 3.0]}
    assert shared_tfserve.json("predict", "a", "1", "--label", "stable") == {"predictions": [2.5]}
    assert_error(shared_tfserve("predict", "prod", "1"), 2, "several models: a, b", "prod/a")


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["add"], 2, ["add takes PATH"]),
        (["add", "no/such"], 3, ["There is no model"]),
        (["add", "s3://bucket/c"], 2, ["s3://bucket/c is in a bucket", "--replace"]),
        (["add", "{model}=a"], 2, ["already has a model 'a'", "PATH=a_2"]),
        (["add", "{model}=c", "--label", "x=2"], 2, ["'x' of the model 'c' is for version 2, which is not served"]),
        (["remove", "bb"], 2, ["no model 'bb'", "Did you mean b?"]),
        (["remove", "a", "b"], 2, ["would have no models", "tfserve stop prod"]),
        (["add", "{model}=c", "--versions", "5"], 2, ["The model 'c' has no version 5; it has 1"]),
        (["label", "a", "x"], 2, ["Wrong arguments for label: a x", "LABEL=VERSION"]),
        (["label", "a", "x", "y=1"], 2, ["'x' is not a label of a version"]),
        (["label", "a", "stabel="], 2, ["no label 'stabel'", "Did you mean stable?"]),
        (["label", "x=1"], 2, ["several models: a, b"]),
        (
            ["label", "a", "x=3"],
            2,
            ["'x' of the model 'a' is for version 3, which is not served; served versions: 1, 2"],
        ),
        (["pin", "a", "some"], 2, ["is not a valid choice of versions"]),
        (["pin", "a", "9"], 2, ["The model 'a' has no version 9; it has 1, 2, 3"]),
        (["pin", "a", "latest"], 2, ["The label 'stable' of the model 'a' is for version 1", "served versions: 3"]),
        (["pin", "a", "2"], 2, ["The label 'stable' of the model 'a' is for version 1"]),
        (["rollback", "b"], 2, ["'b' has no version before version 1"]),
        (["rollback", "b", "c"], 2, ["rollback takes [MODEL]"]),
        (["list", "--versions", "all"], 2, ["can only be used with add"]),
    ],
)
@pytest.mark.usefixtures("two")
def test_bad_input(
    shared_tfserve: Program, half_plus_two: Path, words: list[str], code: int, expected: list[str]
) -> None:
    given = [word.replace("{model}", str(half_plus_two)) for word in words]
    done = CliRunner(env=shared_tfserve.environment).invoke(build_app(["models"]), ["models", "prod", *given])
    assert (done.exit_code, done.stdout) == (code, "")
    for text in ("Error: ", "Hint: ", *expected):
        assert text in done.stderr


def test_models_change_under_load(tfserve: Program, copied: Copy, half_plus_two: Path) -> None:
    a = copied("a")
    shutil.copytree(half_plus_two / "1", a / "2")
    shutil.copytree(half_plus_two / "1", a / "3")
    (a / "3" / "variables" / "variables.data-00000-of-00001").write_bytes(b"")  # cannot be loaded
    archive = a.with_name("b.tar.gz")
    archive.write_bytes(tar_bytes(model_files(half_plus_two)))
    served = tfserve.json("run", a, "--versions", "2", "--model-name", "a", "--name", "prod", *PORTS)
    with constant_load(served["rest_url"], "a") as load:
        for words in (
            ("add", f"{archive}=b", "--label", "only=1"),
            ("pin", "a", "1,2"),
            ("label", "a", "canary=2", "stable=1"),
            ("label", "a", "canary="),
            ("label", "a", "stable="),
            ("rollback", "a"),
        ):
            done = tfserve("models", "prod", *words)
            assert done.returncode == 0, done.stderr
            if words[0] == "add":  # as tfserve run reports it
                assert "'b' comes from an archive. A model is a program" in done.stderr
            if words[-1] == "stable=1":
                assert states(tfserve)["a"] == {2: ("AVAILABLE", ["canary"]), 1: ("AVAILABLE", ["stable"])}
        assert states(tfserve)["a"] == {2: ("END", []), 1: ("AVAILABLE", [])}
        assert states(tfserve)["b"] == {1: ("AVAILABLE", ["only"])}
        (kept,) = tfserve.json("cache", "clear")["kept"]  # the server uses the files unpacked from the archive
        assert kept["servers"] == ["prod"]
        assert_error(tfserve("models", "prod", "pin", "a", "1,3"), 7, "Version 3 of the model 'a' cannot be loaded")
        assert tfserve("models", "prod", "remove", "b").returncode == 0
    assert load.failures == []
    assert load.succeeded > 50
    assert [model["name"] for model in tfserve.json("status")["models"]] == ["a"]
    assert tfserve("restart", "prod").returncode == 0  # a restart keeps the changes
    assert states(tfserve) == {"a": {1: ("AVAILABLE", [])}}


def test_versions_of_an_added_model(tfserve: Program, half_plus_two: Path, half_plus_n: Path) -> None:
    tfserve.json("run", half_plus_two, "--versions", "latest", "--name", "prod", *PORTS)
    assert tfserve("models", "prod", "add", half_plus_n).returncode == 0
    assert states(tfserve)["half_plus_n"] == {3: ("AVAILABLE", [])}
    assert tfserve("models", "prod", "rollback", "half_plus_n").returncode == 0
    assert tfserve.json("predict", "half_plus_n", "1") == {"predictions": [2.5]}
    assert tfserve("models", "prod", "pin", "half_plus_n", "all").returncode == 0
    assert states(tfserve)["half_plus_n"] == {3: ("AVAILABLE", []), 2: ("AVAILABLE", [])}
    assert tfserve("models", "prod", "pin", "half_plus_n", "latest").returncode == 0
    assert states(tfserve)["half_plus_n"] == {3: ("AVAILABLE", []), 2: ("END", [])}


def test_added_model_needs_the_tags_of_the_server(tfserve: Program, copied: Copy, half_plus_two: Path) -> None:
    tagged = copied("tagged")
    file = tagged / "1" / "saved_model.pb"
    message = SavedModel.FromString(file.read_bytes())
    message.meta_graphs[0].meta_info_def.tags.append("extra")
    file.write_bytes(message.SerializeToString())
    shutil.copytree(tagged, tagged.with_name("more"))
    tags = ("--", "--saved_model_tags=serve,extra")
    assert tfserve("run", tagged, "--versions", "latest", "--name", "prod", *PORTS, *tags).returncode == 0
    assert tfserve("models", "prod", "add", tagged.with_name("more")).returncode == 0
    assert states(tfserve)["more"] == {1: ("AVAILABLE", [])}
    assert_error(tfserve("models", "prod", "add", half_plus_two), 3, "no meta graph with the tags extra, serve")


def test_versions_that_cannot_be_loaded(
    tfserve: Program, half_plus_two: Path, half_plus_n: Path, tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(half_plus_n, tmp_path / "broken"))
    (broken / "3" / "variables" / "variables.data-00000-of-00001").write_bytes(b"")
    assert tfserve("run", broken, "--versions", "all", *PORTS).returncode == 7
    tfserve.json("run", half_plus_two, "--versions", "latest", "--name", "prod", *PORTS)
    failed = tfserve("models", "prod", "add", broken, "--versions", "all")
    assert_error(failed, 7, "Version 3 of the model 'broken' cannot be loaded")
    assert list(states(tfserve)) == ["prod"]


def test_servers_that_cannot_be_changed(tfserve: Program, half_plus_two: Path, tmp_path: Path) -> None:
    assert tfserve("run", half_plus_two, "--name", "fixed", *PORTS, "--wait", "0").returncode == 0
    assert_error(tfserve("models", "fixed", "pin", "all"), 2, "one model, which cannot be changed", "--versions latest")
    assert tfserve("stop", "fixed").returncode == 0
    assert_error(tfserve("models", "fixed", "pin", "all"), 10, "'fixed' is stopped", "tfserve start fixed")
    file = tmp_path / "models.config"
    text = f'model_config_list {{ config {{ name: "m" base_path: "{half_plus_two}" model_platform: "tensorflow" }} }}'
    file.write_text(text)
    assert_error(tfserve("run", half_plus_two, "--config", file), 2, "--config cannot be combined with MODEL_DIR")
    assert tfserve("run", "--config", file, "--name", "own", *PORTS, "--label", "x=1").returncode == 2
    started = tfserve.json("run", "--config", file, "--name", "own", *PORTS)
    assert started["models"] == [{"name": "m", "versions": [{"version": 1, "state": "AVAILABLE"}]}]
    assert_error(tfserve("models", "own", "pin", "all"), 2, "which tfserve does not change")
    assert file.read_text() == text
    (listed,) = tfserve.json("models", "own")
    assert (listed["name"], listed["base_path"], listed["serves"]) == ("m", str(half_plus_two), "latest")
