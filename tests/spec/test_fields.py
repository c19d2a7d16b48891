"""A new option only needs a row in the table of fields and an attribute of the spec."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.source import ROOT
from tfserve.errors import UsageError
from tfserve.spec.field_parsers import Context
from tfserve.spec.fields import option_names, parse_fields

ADDED = """
import dataclasses, sys
from pathlib import Path
from tfserve.spec import field, field_types, fields, serve

@dataclasses.dataclass(frozen=True)
class ServeSpec(serve.ServeSpec):
    nickname: str | None = None

serve.ServeSpec = ServeSpec
fields.FIELDS += (
    field.Field("nickname", fields.SERVER, field_types.TEXT, "What the team calls it.", "NICK", example="Bob"),
)
fields._OPTION_NAMES["nickname"] = "--nickname"
"""


def run(program: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", ADDED + program],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT.parent,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_command_line() -> None:
    program = "sys.argv = ['tfserve', 'run', '--help']\nfrom tfserve.__main__ import main\nmain()"
    lines = run(program).splitlines()
    group = lines.index("Server:")
    assert any("--nickname NICK" in line and "What the team calls it." in line for line in lines[group : group + 8])


def test_completion() -> None:
    program = "sys.argv = ['tfserve']\nfrom tfserve.__main__ import main\nmain()"
    words = {"COMP_WORDS": "tfserve\nrun\n--nick", "COMP_CWORD": "2", "_TFSERVE_COMPLETE": "complete_bash"}
    assert run(program, **words).split() == ["--nickname"]


def test_file_and_schema(tmp_path: Path) -> None:
    (tmp_path / "tfserve.yaml").write_text("servers:\n  a: {models: [{path: m, name: m}], nickname: Bob}\n")
    program = f"""
import json
from tfserve.config.read import read_servers
from tfserve.config.schema import json_schema
from tfserve.config.template import first_file
from tfserve.config.write import write_servers
servers = read_servers(Path({str(tmp_path)!r}) / "tfserve.yaml", {{}})
schema = json_schema()["properties"]["servers"]["additionalProperties"]["properties"]["nickname"]
print(json.dumps([servers[0].spec.nickname, write_servers(servers), schema["description"], first_file("m", "./m")]))
"""
    nickname, written, description, first = json.loads(run(program))
    assert (nickname, description) == ("Bob", "What the team calls it.")
    assert "    nickname: Bob\n" in written
    assert "    # nickname: Bob " in first


def test_python() -> None:
    program = """
import inspect
from tests.servers.serve_options import source
from tfserve.servers import python_api
print(inspect.signature(python_api.serve).parameters["nickname"].annotation)
print("        nickname: what the team calls it." in python_api.serve.__doc__)
print("    nickname: str | None" in source())
"""
    assert run(program).splitlines() == ["str | None", "True", "True"]


def test_reference() -> None:
    program = "from tfserve.cli import reference\nprint(reference.markdown())\nprint(reference.man_page())"
    assert run(program).count("What the team calls it.") == 2


def test_names_in_errors() -> None:
    program = """
from tfserve.config.source_map import file_names
from tfserve.errors import Wording
wording = Wording("{nickname}")
print(wording(fields.option_names), wording(file_names), wording)
"""
    assert run(program).split() == ["--nickname", "nickname", "nickname="]


def test_errors_begin_with_the_attribute_unless_they_name_it() -> None:
    def error_of(value: object) -> UsageError:
        with pytest.raises(UsageError) as caught:
            parse_fields({"rest_port": value}, Context(), {}, launch=False)
        return caught.value

    assert str(error_of("abc")) == "rest_port=: 'abc' is not a port."
    assert (str(error_of([1])), error_of([1]).hint) == (
        "Expected a port number or none for rest_port=, found a list.",
        "For example: rest_port=8501",
    )
    typed = error_of("abc")
    typed.reword(option_names)
    assert typed.message == "--rest-port: 'abc' is not a port."
    located = error_of("abc")
    located.reword(option_names, "file.yaml, line 1, rest_port")
    assert located.message == "file.yaml, line 1, rest_port: 'abc' is not a port."
