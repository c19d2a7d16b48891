from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

from tfserve.errors import EngineUnavailableError
from tfserve.model_server.runtime import c_api


def test_the_library_is_that_of_the_installed_wheel() -> None:
    distribution = "tensorflow_cpu" if "tensorflow_cpu" in _distributions() else "tensorflow"
    assert c_api.version() == importlib.metadata.version(distribution)


def _distributions() -> set[str]:
    return {found.name.replace("-", "_") for found in importlib.metadata.distributions()}


def test_tensorflow_is_not_imported() -> None:
    load = "import sys; from tfserve.model_server.runtime import c_api; c_api.library()"
    code = f"{load}; print('tensorflow' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_without_tensorflow_the_hint_is_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.delitem(sys.modules, "tensorflow")
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    monkeypatch.setattr(sys, "meta_path", [])
    with pytest.raises(EngineUnavailableError, match="not installed") as caught:
        c_api.library_path()
    assert caught.value.hint
