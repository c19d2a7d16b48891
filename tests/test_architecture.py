"""The house has floors: a module imports only from its own package and from those that stand before it in ORDER."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.source import FILES, ROOT

# From the ground up; those of one line do not import one another, but for the ground, whose order is left open.
GROUND = ("_version", "errors", "defaults", "progress", "interrupts", "text", "addresses")
PACKAGES = (
    *("protos", "host", "models", "spec", "plan", "config", "gpu", "exporters", "client"),
    *("engines", "servers", "images", "devel", "doctor", "docs", "cli", "__main__"),
)
ORDER = dict.fromkeys(GROUND, 0) | {name: floor for floor, name in enumerate(PACKAGES, 1)}
MODEL_SERVER = "model_server"  # a program of its own
SEEN_BY_MODEL_SERVER = {*GROUND, "protos", "host.ports"}
LAZY = {"tfserve"}  # __init__ resolves its public names when they are first used


def imports_of(module: str) -> set[str]:
    """The modules of tfserve that a module imports, at whatever depth; `__init__` of their packages included."""
    found = set[str]()
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update({f"{node.module}.{alias.name}" for alias in node.names}, {node.module})
    parents = {name.rsplit(".", depth)[0] for name in found for depth in range(1, name.count(".") + 1)}
    own = {module.rsplit(".", depth)[0] for depth in range(module.count(".") + 1)}
    return (found | parents) & FILES.keys() - own


IMPORTS = {module: imports_of(module) for module in FILES}


def room(module: str) -> str:
    """The package or the root module that a module belongs to: ``tfserve.plan.mounts`` is in ``plan``."""
    return module.removeprefix("tfserve.").split(".")[0]


def test_every_module_has_its_floor() -> None:
    assert {room(module) for module in FILES} - ORDER.keys() == {"tfserve", MODEL_SERVER}


@pytest.mark.parametrize("module", [name for name in FILES if room(name) in ORDER])
def test_imports_go_down_only(module: str) -> None:
    above = {
        imported
        for imported in IMPORTS[module] - LAZY
        if room(imported) not in ORDER or ORDER[room(imported)] > ORDER[room(module)]
    }
    assert above == set()


def test_there_is_no_cycle() -> None:
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_model_server_is_a_program_of_its_own() -> None:
    within = {module for module in FILES if room(module) == MODEL_SERVER}
    seen = {name.removeprefix("tfserve.") for module in within for name in IMPORTS[module] - within}
    assert {name for name in seen if room(f"tfserve.{name}") not in {*GROUND, "protos"}} <= {
        "tfserve",
        "host",
        "host.ports",
    }
    assert {module for module in FILES if IMPORTS[module] & within} <= within


def test_the_root_is_a_list_of_contents() -> None:
    assert len(list(ROOT.glob("*.py"))) <= 10


@pytest.mark.parametrize("module", [name for name in FILES if "_pb2" not in name])
def test_a_module_can_be_read_in_one_sitting(module: str) -> None:
    assert len(FILES[module].read_text().splitlines()) <= 400


ABOUT_DOCKER = {"engines", "images", "devel", "doctor", "model_server"}
EXEMPT = {
    "tfserve.exporters.docker_run",  # it writes lines that begin with the name of the program
    "tfserve.servers.serve_options",  # it is written from the table of fields
}


@pytest.mark.parametrize("module", [name for name in FILES if room(name) not in ABOUT_DOCKER])
def test_nothing_else_names_an_engine(module: str) -> None:
    """A new engine is one new package: no other module would have to be changed for it."""
    engines = {file.parent.name for file in ROOT.glob("engines/*/__init__.py")}
    imported = {name for name in IMPORTS[module] for engine in engines if name.startswith(f"tfserve.engines.{engine}")}
    assert imported == set()
    if module not in EXEMPT:
        tree = ast.parse(FILES[module].read_text())
        constants = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        assert not constants & engines
