"""A module imports only from its own package and from packages before it in ORDER, without cycles."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.source import FILES, ROOT

# Modules in GROUND may import each other; a package may only import GROUND and the packages before it.
GROUND = ("_version", "errors", "defaults", "progress", "interrupts", "text", "addresses", "log_file")
PACKAGES = (
    *("protos", "host", "models", "spec", "plan", "config", "gpu", "exporters", "client"),
    *("engines", "servers", "images", "devel", "doctor", "docs", "cli", "__main__"),
)
ORDER = dict.fromkeys(GROUND, 0) | {name: level for level, name in enumerate(PACKAGES, 1)}
MODEL_SERVER = "model_server"  # a program of its own
LAZY = {"tfserve"}  # __init__ resolves its public names when they are first used


def imports_of(module: str) -> set[str]:
    """The modules of tfserve that a module imports, also inside functions, and the `__init__` of their packages."""
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


def package_of(module: str) -> str:
    """The package or root module to which a module belongs: ``plan`` for ``tfserve.plan.mounts``."""
    return module.removeprefix("tfserve.").split(".")[0]


def test_order_contains_every_module() -> None:
    assert {package_of(module) for module in FILES} - ORDER.keys() == {"tfserve", MODEL_SERVER}


@pytest.mark.parametrize("module", [name for name in FILES if package_of(name) in ORDER])
def test_imports_go_down_only(module: str) -> None:
    above = {
        imported
        for imported in IMPORTS[module] - LAZY
        if package_of(imported) not in ORDER or ORDER[package_of(imported)] > ORDER[package_of(module)]
    }
    assert above == set()


def test_imports_have_no_cycle() -> None:
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_model_server_is_separate() -> None:
    within = {module for module in FILES if package_of(module) == MODEL_SERVER}
    used = {name.removeprefix("tfserve.") for module in within for name in IMPORTS[module] - within}
    assert {name for name in used if package_of(f"tfserve.{name}") not in {*GROUND, "protos"}} <= {
        "tfserve",
        "host",
        "host.ports",
        "host.privileges",
        "host.search_paths",
        "host.unix_sockets",
    }
    assert {module for module in FILES if IMPORTS[module] & within} <= within


def test_root_has_few_modules() -> None:
    assert len(list(ROOT.glob("*.py"))) <= 10


@pytest.mark.parametrize("module", [name for name in FILES if "_pb2" not in name])
def test_length_of_modules(module: str) -> None:
    assert len(FILES[module].read_text().splitlines()) <= 400


ABOUT_DOCKER = {"engines", "images", "devel", "doctor", "model_server"}
EXEMPT = {
    "tfserve.exporters.docker_run",  # it writes commands of the docker program
    "tfserve.servers.serve_options",  # it is generated from the table of fields
}


@pytest.mark.parametrize("module", [name for name in FILES if package_of(name) not in ABOUT_DOCKER])
def test_only_engines_name_an_engine(module: str) -> None:
    """A new engine is one new package, and needs no change in other modules."""
    engines = {file.parent.name for file in ROOT.glob("engines/*/__init__.py")}
    imported = {name for name in IMPORTS[module] for engine in engines if name.startswith(f"tfserve.engines.{engine}")}
    assert imported == set()
    if module not in EXEMPT:
        tree = ast.parse(FILES[module].read_text())
        constants = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        assert not constants & engines
