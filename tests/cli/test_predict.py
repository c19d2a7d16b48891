from __future__ import annotations

import json
import shlex
from pathlib import Path
from subprocess import CompletedProcess
from urllib.request import Request, urlopen

import pytest

from tests.cli.conftest import Served, in_process
from tests.program import Program, assert_error


def predictions(done: CompletedProcess[str]) -> object:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_json_is_the_servers_own_response(served: Served) -> None:
    done = served.tfserve("predict", "half_plus_two", "1", "2", "5", "--json")
    assert predictions(done) == {"predictions": [2.5, 3.0, 4.5]}
    url = f"{served.document['rest_url']}/v1/models/half_plus_two:predict"
    with urlopen(Request(url, b'{"instances":[1,2,5]}')) as response:
        assert done.stdout.encode().rstrip() == response.read().rstrip()


def test_table(served: Served) -> None:
    done = served.tfserve("predict", "half_plus_two", "1", "2", "5")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[-1] for row in rows[1:]] == ["2.5", "3.0", "4.5"]
    assert "y" in rows[0]


@pytest.mark.parametrize(
    ("arguments", "response"),
    [
        (["1", "2"], {"predictions": [2.5, 3.0]}),  # the only server
        (["half_plus_two", "-1", "-2.5e0"], {"predictions": [1.5, 0.75]}),
        (["half_plus_two", "-.5", "-.5e1"], {"predictions": [1.75, -0.5]}),
        (["-.5"], {"predictions": [1.75]}),
        (["half_plus_two", "[1, 2, 5]"], {"predictions": [2.5, 3.0, 4.5]}),
        (["half_plus_two", "--input", "x=[1, 2]"], {"predictions": [2.5, 3.0]}),
        (["--data", '{"inputs": [1, 2]}'], {"outputs": [2.5, 3.0]}),
        (["half_plus_two", "1", "--format", "column"], {"outputs": [2.5]}),
        (["half_plus_two", "1", "--version", "1"], {"predictions": [2.5]}),
        (["half_plus_two", "1", "--signature", "serving_default"], {"predictions": [2.5]}),
    ],
)
def test_forms_of_a_request(served: Served, arguments: list[str], response: object) -> None:
    assert predictions(in_process(served.tfserve, "predict", *arguments, "--json")) == response


@pytest.mark.parametrize("value", ["-inf", "-infinity", "-Inf", "-INF", "-Infinity"])
def test_negative_infinity_is_a_value(served: Served, value: str) -> None:
    done = served.tfserve("predict", "half_plus_two", value, "--curl")
    assert done.returncode == 0, done.stderr
    assert '{"instances":[-Infinity]}' in done.stdout


def test_request_from_a_file_or_stdin(served: Served, tmp_path: Path) -> None:
    body = '{"instances": [1.0, 2.0, 5.0]}'
    file = tmp_path / "it's a request.json"
    file.write_text(body)
    response = {"predictions": [2.5, 3.0, 4.5]}
    assert predictions(served.tfserve("predict", "--data", file, "--json")) == response
    assert predictions(served.tfserve("predict", "--data", "-", "--json", stdin=body)) == response


def test_instances_from_lines_of_a_file(served: Served, tmp_path: Path) -> None:
    lines, table = tmp_path / "a.jsonl", tmp_path / "a.csv"
    lines.write_text("1.0\n2.0\n")
    table.write_text("x\n1\n2\n")
    for file in (lines, table):
        response = in_process(served.tfserve, "predict", "--data", file, "--signature", "serving_default", "--json")
        assert predictions(response) == {"predictions": [2.5, 3.0]}
    table.write_text("z\n1\n")
    assert_error(in_process(served.tfserve, "predict", "--data", table), 2, "'z'", "x  DT_FLOAT")
    assert_error(
        in_process(served.tfserve, "predict", "--data", lines, "--format", "row"), 2, "cannot be combined with --format"
    )


def test_grpc(served: Served, tfserve: Program) -> None:
    command = ("predict", "half_plus_two", "1", "2", "5", "--json", "--api", "grpc")
    assert predictions(in_process(served.tfserve, *command)) == {"predictions": [2.5, 3.0, 4.5]}
    assert predictions(in_process(tfserve, *command, "--url", served.document["grpc_address"])) == {
        "predictions": [2.5, 3.0, 4.5]
    }
    assert_error(in_process(served.tfserve, *command, "--version", "7"), 8, "7")
    assert_error(in_process(served.tfserve, *command, "--curl"), 2, "curl sends requests over REST only")
    assert_error(in_process(tfserve, *command, "--url", served.document["rest_url"]), 8, "does not speak gRPC")
    metadata = in_process(served.tfserve, "metadata", "--api", "grpc", "--json")
    assert json.loads(metadata.stdout)["model_spec"]["version"] == "1"


def test_url_of_another_server(served: Served, tfserve: Program) -> None:
    url = served.document["rest_url"]
    done = tfserve("predict", "half_plus_two", "1", "--url", url, "--json")
    assert predictions(done) == {"predictions": [2.5]}
    assert_error(tfserve("predict", "--url", url, "--json"), 2, "--url requires the name of the model")
    assert_error(tfserve("predict", "other", "1", "--url", url), 8, "other")


def test_curl(served: Served) -> None:
    done = served.tfserve("predict", "half_plus_two", "1", "2", "--curl")
    words = shlex.split(done.stdout)
    assert words[0] == "curl"
    assert words[-1] == f"{served.document['rest_url']}/v1/models/half_plus_two:predict"
    (body,) = (word for word in words if word.startswith("{"))
    assert json.loads(body)["instances"] == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["other", "1"], 10, "There is no server 'other'"),
        (["half_plus_tow", "1"], 10, "Did you mean half_plus_two?"),
        (["half_plus_two"], 2, "No values were given"),
        (["half_plus_two", "one"], 2, "one"),
        (["half_plus_two", "[[1], [2, 3]]"], 2, ""),
        (["half_plus_two", "1", "--input", "x=1"], 2, "cannot be combined"),
        (["half_plus_two", "--input", "z=1"], 2, "'z'"),
        (["half_plus_two", "--data", "{"], 2, "JSON"),
        (["half_plus_two", "1", "--data", "{}"], 2, "cannot be combined with VALUES"),
        (["--data", "{}", "--input", "x=1"], 2, "cannot be combined with --input"),
        (["--data", "{}", "--signature", "serving_default"], 2, "cannot be combined with --signature"),
        (["--data", "{}", "--format", "row"], 2, "cannot be combined with --format"),
        (["half_plus_two", "--data", '{"instances": ["a"]}'], 8, "x  DT_FLOAT"),
        (["half_plus_two", "1", "--version", "7"], 8, "7"),
        (["half_plus_two", "1", "--versoin", "7"], 2, "No such option: --versoin"),
        (["half_plus_two", "1", "--versoin=7"], 2, "Did you mean --version?"),
        (["half_plus_two", "1", "--timeout", "0"], 2, "timeout"),
        (["half_plus_two", "1", "--url", "ftp://x"], 2, "is not the URL of a server"),
        (["half_plus_two", "1", "--url", "http://127.0.0.1:1"], 8, "127.0.0.1:1"),
    ],
)
def test_invalid_requests(served: Served, arguments: list[str], code: int, words: str) -> None:
    assert_error(in_process(served.tfserve, "predict", *arguments), code, words)


def test_unknown_signature(served: Served) -> None:
    done = served.tfserve("predict", "half_plus_two", "1", "--signature", "nope")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'nope'" in done.stderr
    assert "serving_default" in done.stderr


def test_metadata(served: Served) -> None:
    document = served.tfserve.json("metadata")
    assert document["model_spec"] == {"name": "half_plus_two", "signature_name": "", "version": "1"}
    lines = served.tfserve("metadata", "half_plus_two").stdout.splitlines()
    assert lines[0] == "half_plus_two version 1"
    start = lines.index("  serving_default  tensorflow/serving/predict")
    assert lines[start + 1 : start + 3] == ["    in   x  DT_FLOAT  (-1)", "    out  y  DT_FLOAT  (-1)"]
    assert_error(served.tfserve("metadata", "other"), 10, "There is no server 'other'")
    assert_error(served.tfserve("metadata", "--version", "7"), 8, "7")
