"""Installs the wheel and the sdist into empty environments, as users do. This needs the package index."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cached import virtual_environment

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Installation:
    """An environment into which only tfserve was installed, and the variables that its programs run with."""

    directory: Path
    variables: Mapping[str, str]

    def run(self, program: str, *arguments: str) -> str:
        """Runs a program of the environment, which must succeed, and returns its stdout."""
        return run(self.directory / "bin" / program, *arguments, variables=self.variables)


def run(program: Path, *arguments: str | Path, variables: Mapping[str, str] | None = None) -> str:
    done = subprocess.run([program, *arguments], capture_output=True, text=True, env=variables, cwd="/", check=False)
    assert done.returncode == 0, f"{program} {arguments}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def tools() -> Path:
    """The directory of programs that build and install packages."""
    return virtual_environment(("build", "uv")) / "bin"


@pytest.fixture(scope="module")
def distributions(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files that ``python -m build`` makes: first the sdist, and from that the wheel."""
    directory = tmp_path_factory.mktemp("dist")
    run(tools / "python", "-m", "build", "--outdir", directory, ROOT)
    return {"sdist": next(directory.glob("*.tar.gz")), "wheel": next(directory.glob("*.whl"))}


@pytest.fixture(scope="module", params=["wheel", "sdist"])
def installed(
    request: pytest.FixtureRequest,
    tools: Path,
    distributions: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    home = tmp_path_factory.mktemp("home")
    environment = home / "environment"
    run(tools / "uv", "venv", "--quiet", environment)
    python = environment / "bin" / "python"
    run(tools / "uv", "pip", "install", "--quiet", "--python", python, f"{distributions[request.param]}[local]")
    path = os.pathsep.join([str(environment / "bin"), os.environ["PATH"]])
    yield Installation(environment, {"HOME": str(home), "PATH": path, "DOCKER_HOST": f"unix://{home}/no-docker.sock"})
    shutil.rmtree(home)  # it contains TensorFlow


def test_names(distributions: dict[str, Path]) -> None:
    assert {file.name.partition("-")[0] for file in distributions.values()} == {"tfserve_cli"}


def test_it_serves(installed: Installation) -> None:
    answer = json.loads(installed.run("tfserve", "demo", "--engine", "local", "--json"))
    assert answer["predictions"] == [2.5, 3.0, 4.5]


def test_its_topics_and_man_page_are_included(installed: Installation) -> None:
    topics = installed.run("tfserve", "help")
    assert "gpu" in topics
    assert len(installed.run("tfserve", "help", "gpu")) > 500
    assert (installed.directory / "share" / "man" / "man1" / "tfserve.1").read_text().startswith('.\\"')


def test_versions_and_types(installed: Installation) -> None:
    version = installed.run("tfserve", "--version").removeprefix("tfserve ").strip()
    program = "import importlib.metadata, tfserve; print(importlib.metadata.version('tfserve-cli'), tfserve.__file__)"
    named, file = installed.run("python", "-c", program).split()
    assert named == version
    assert Path(file).with_name("py.typed").exists()
    assert version in installed.run("tfserve-model-server", "--version")
