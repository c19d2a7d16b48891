"""Which module may know of which: arrows run down only, from the command line to the facts."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

import tfserve

ROOT = Path(tfserve.__file__).parent
UPPER = {"cli", "engines", "exporters", "launch", "package", "build", "devel", "serving", "doctor", "model_server"}


def name_of(file: Path) -> str:
    return ".".join(("tfserve", *file.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


FILES = {name_of(file): file for file in ROOT.rglob("*.py")}
del FILES["tfserve"]  # its names lead everywhere, once somebody asks for them


@functools.cache
def imports_of(module: str) -> frozenset[str]:
    """The modules of tfserve that a module imports, wherever in it that stands."""
    found = set[str]()
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            members = {f"{node.module}.{alias.name}" for alias in node.names}
            found.update(members & FILES.keys() or {node.module})
    return frozenset(found & FILES.keys())


def reached_from(start: set[str]) -> set[str]:
    """The modules that are imported from `start`, by whatever way."""
    reached, waiting = set[str](), list(start)
    while waiting:
        for module in imports_of(waiting.pop()) - reached:
            reached.add(module)
            waiting.append(module)
    return reached


def within(package: str) -> set[str]:
    return {module for module in FILES if f"{module}.".startswith(f"tfserve.{package}.")}


def outside(modules: set[str], package: str) -> set[str]:
    """The first parts of the names of those that are not in `package`."""
    return {module.split(".")[1] for module in modules - within(package)}


@pytest.mark.parametrize(
    ("package", "unknown"),
    [
        ("errors", {module.split(".")[1] for module in FILES}),
        ("protos", {module.split(".")[1] for module in FILES} - {"protos"}),
        ("spec", UPPER | {"client", "plan"}),
        ("plan", UPPER | {"client"}),
        ("saved_model", UPPER | {"client", "plan", "spec"}),
        ("gpu_links", UPPER | {"client", "plan", "spec"}),
        ("client", UPPER | {"plan", "spec"}),
        ("exporters", (UPPER | {"client"}) - {"exporters"}),
        ("engines", (UPPER | {"client"}) - {"engines"}),
        ("launch", {"cli", "exporters", "model_server", "serving"}),
    ],
)
def test_nobody_knows_of_what_is_above(package: str, unknown: set[str]) -> None:
    assert outside(reached_from(within(package)), package) & unknown == set()


def test_the_model_server_is_a_program_of_its_own() -> None:
    assert outside(reached_from(within("model_server")), "model_server") <= {
        *("errors", "protos"),
        *("nearest", "ports", "printable", "server_flags"),  # which import nothing themselves
    }
    assert {module for module in FILES if imports_of(module) & within("model_server")} <= within("model_server")


def test_only_the_program_itself_knows_of_the_command_line() -> None:
    assert {module for module in FILES if imports_of(module) & within("cli")} - within("cli") == {"tfserve.__main__"}
