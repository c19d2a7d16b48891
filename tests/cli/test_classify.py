"""``tfserve classify`` and ``tfserve regress`` on a real server."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.cli.conftest import Served, in_process
from tests.program import assert_error

REGRESS = ("regress", "half_plus_two", "--signature", "regress_x_to_y")


def response_to(served: Served, *arguments: str | Path) -> object:
    done = in_process(served.tfserve, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_json_is_the_servers_own_response(served: Served) -> None:
    done = served.tfserve("classify", "half_plus_two", "x=1.0", "x=2.0", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"results": [[["", 2.5]], [["", 3.0]]]}
    url = f"{served.document['rest_url']}/v1/models/half_plus_two:classify"
    body = b'{"signature_name":"classify_x_to_y","examples":[{"x":1.0},{"x":2.0}]}'
    with urlopen(Request(url, body)) as response:
        assert done.stdout.encode().rstrip() == response.read().rstrip()


def test_table(served: Served) -> None:
    done = in_process(served.tfserve, *REGRESS, "x=1.0", "x=-2.0")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split() for line in done.stdout.splitlines()] == [["x", "value"], ["1.0", "2.5"], ["-2.0", "1.0"]]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--input", "x=1.0"),
        ('{"x": [1.0]}',),
        ("--context", "x=1.0", "{}"),
        ("--data", '{"signature_name": "regress_x_to_y", "examples": [{"x": 1.0}]}'),
        ("--version", "1", "x=1.0", "--api", "grpc"),
        ("--context", '{"x": 1.0}', "{}", "--api", "grpc"),
    ],
)
def test_forms_of_a_request(served: Served, arguments: tuple[str, ...]) -> None:
    signature = () if arguments[0] == "--data" else ("--signature", "regress_x_to_y")
    assert response_to(served, "regress", *signature, *arguments) == {"results": [2.5]}


def test_examples_from_lines_of_a_file(served: Served, tmp_path: Path) -> None:
    lines, table = tmp_path / "a.jsonl", tmp_path / "a.csv"
    lines.write_text('{"x": 1.0}\n{"x": [2.0]}\n')
    table.write_text("x\n1.0\n2.0\n")
    for file in (lines, table):
        assert response_to(served, *REGRESS, "--data", file) == {"results": [2.5, 3.0]}
    assert_error(in_process(served.tfserve, *REGRESS, "--data", table, "x=1"), 2, "cannot be combined with EXAMPLES")


def test_curl(served: Served) -> None:
    words = shlex.split(in_process(served.tfserve, "classify", "x=1.0", "--curl").stdout)
    assert words[-1].endswith("/v1/models/half_plus_two:classify")
    assert json.loads(next(word for word in words if word.startswith("{")))["examples"] == [{"x": 1.0}]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("classify",), 2, "No examples were given"),
        (("classify", "1.0"), 2, "a feature requires a name"),
        (("classify", "half_plus_tow", "x=1.0"), 10, "Did you mean half_plus_two?"),
        (("classify", "x=1"), 8, "1.0"),
        (("classify", "X=1.0", "--api", "grpc"), 8, "Is 'X' meant to be that feature?"),
        (("classify", "x=1.0", "--label", "stable"), 8, "stable"),
        (("classify", "--data", '{"examples": []}', "--context", "x=1.0"), 2, "cannot be combined with --context"),
        (("classify", "x=1.0", "--contxt", "y=1"), 2, "Did you mean --context?"),
        (("regress", "x=1.0"), 2, "--signature regress_x2_to_y3"),
        (("regress", "x=1.0", "-s", "regress_x_to_z"), 2, "Did you mean --signature regress_x_to_y?"),
    ],
)
def test_invalid_requests(served: Served, arguments: tuple[str, ...], code: int, words: str) -> None:
    assert_error(in_process(served.tfserve, *arguments), code, words)
