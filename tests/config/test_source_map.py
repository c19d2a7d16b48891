"""Which field of a file says what a complaint is about, and in which words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.config.test_fields import options_of_run
from tests.source import FILES
from tfserve.config.document import read_document
from tfserve.config.source_map import OPTIONS, ServerPlace
from tfserve.errors import UsageError, option

TEXT = """
defaults: {env: {A: 1, B: 1}, rm: true, wait: 3}
server:
  models:
    - {path: m, labels: {x: 1}}
    - n
  <<: {cpus: 1}
  env: {B: 2}
  wait: 2
"""


@pytest.mark.parametrize(
    ("about", "path", "line"),
    [
        ((), "server", 4),
        (("models", 0, "labels", "x"), "server.models[0].labels.x", 5),
        (("models", 0, "versions"), "server.models[0]", 5),
        (("models", 1, "path"), "server.models[1]", 6),
        (("models", 9), "server.models", 5),
        (("cpus",), "server.cpus", 7),
        (("environment", "B"), "server.env.B", 8),
        (("environment", "A"), "defaults.env.A", 2),
        (("environment", "C"), "server.env", 8),
        (("remove",), "defaults.rm", 2),
        (("wait_seconds",), "server.wait", 9),
        (("memory",), "server", 4),
    ],
)
def test_the_field_of_an_attribute(about: tuple[str | int, ...], path: str, line: int, tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(TEXT)
    parts = read_document(file, {}).fields("parts")
    found = ServerPlace(parts["server"], parts["defaults"].fields("defaults")).at(about)
    assert (found.path, found.line) == (path, line)


def test_messages_name_options_that_there_are() -> None:
    named = set[str]()
    for module in FILES.values():
        named.update(re.findall(r"""\boption\(["'](--[a-z0-9-]+)""", module.read_text(encoding="utf-8")))
    assert named > {"--rest-port", "--model-name"}
    assert named < {*options_of_run(), "--no-gpu"}


def test_options_have_the_names_of_the_file_and_what_looks_like_one_stays(tmp_path: Path) -> None:
    assert set(OPTIONS) < {*options_of_run(), "--no-gpu"}
    (tmp_path / "file.yaml").write_text("a: 1")
    what = f"{option('--no-gpu')}, {option('--gpus')} and {option('--host', '::1')}, not {option('--save')} or '--gpu'"
    error = UsageError(f"{what}.", hint=f"Leave {option('--model-name', 'm')} out.")
    assert (str(error), error.hint) == (
        "--no-gpu, --gpus and --host ::1, not --save or '--gpu'.",
        "Leave --model-name m out.",
    )
    placed = read_document(tmp_path / "file.yaml", {}, OPTIONS).placed(error)
    assert placed.message.endswith(": gpu: false, gpus and host: ::1, not --save or '--gpu'.")
    assert (str(placed), placed.hint) == (placed.message, "Leave name: m out.")
