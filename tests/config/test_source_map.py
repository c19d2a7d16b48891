"""The place in a file that an error is about, and how each front end writes attributes."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest

from tests.config.test_fields import options_of
from tests.source import FILES
from tfserve.config.document import read_document
from tfserve.config.source_map import ServerSource, file_names
from tfserve.errors import Attribute, UsageError, Wording
from tfserve.spec.fields import FIELDS, option_names

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
def test_place_of_an_attribute(about: tuple[str | int, ...], path: str, line: int, tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(TEXT)
    nodes = read_document(file, {}).fields("a mapping")
    found = ServerSource(nodes["server"], nodes["defaults"].fields("defaults")).at(about)
    assert (found.path, found.line) == (path, line)


def placeholders() -> dict[str, set[str]]:
    """The attributes that messages name, with the modules that do: every placeholder of a `Wording` without a value."""
    found: dict[str, set[str]] = {}
    for module, file in FILES.items():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("Wording", "Attribute")
            ):
                (template,) = node.args[:1]
                if isinstance(template, ast.Constant) and isinstance(template.value, str):
                    values = {keyword.arg for keyword in node.keywords}
                    fields = [name for _, name, _, _ in string.Formatter().parse(template.value) if name is not None]
                    for attribute in {*fields} - values if node.func.id == "Wording" else {template.value}:
                        found.setdefault(attribute, set()).add(module)
    return found


def test_messages_name_existing_attributes() -> None:
    named = {option_names(attribute) for attribute in placeholders()}
    assert named > {"--rest-port", "--config"}
    arguments = {"MODEL_DIR", "VALUES", "EXAMPLES"}
    assert named - arguments < options_of("run") | options_of("predict") | options_of("classify")


def test_messages_for_python_name_arguments() -> None:
    """Other fields are named only where they were given, and in the hint that `serve` switches off."""
    fields = [field.attribute for field in FIELDS if not field.python]
    named = {attribute: modules for attribute, modules in placeholders().items() if attribute in fields}
    assert named == {
        "remove": {"tfserve.spec.serve", "tfserve.engines.conflicts"},
        "keep_failed": {"tfserve.spec.serve", "tfserve.servers.launch"},
    }


def test_names_of_attributes(tmp_path: Path) -> None:
    (tmp_path / "file.yaml").write_text("a: 1")

    def error() -> UsageError:
        return UsageError(
            Wording(
                "{no_gpu}, {gpus} and {host}, not {typed!r}.",
                no_gpu=Attribute("gpu", False),
                host=Attribute("host", "::1"),
                typed="{gpus} --gpu",
            ),
            hint=Wording("Leave {options} out.", options=[Attribute("model_name"), Attribute("environment")]),
        )

    python, typed = error(), error()
    assert (str(python), python.hint) == (
        "gpu=False, gpus= and host='::1', not '{gpus} --gpu'.",
        "Leave model_name=, environment= out.",
    )
    typed.reword(option_names)
    assert (str(typed), typed.hint) == (
        "--no-gpu, --gpus and --host ::1, not '{gpus} --gpu'.",
        "Leave --model-name, --env out.",
    )
    placed = error()
    read_document(tmp_path / "file.yaml", {}, file_names).locate(placed)
    assert placed.message.endswith(": gpu: false, gpus and host: ::1, not '{gpus} --gpu'.")
    assert (str(placed), placed.hint) == (placed.message, "Leave name, env out.")
    placed.reword(option_names)
    assert placed.hint == "Leave name, env out."  # the names do not change again
