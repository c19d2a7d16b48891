"""Models and servers that the tests of the local engine share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cached import made_by_script


@pytest.fixture(scope="session")
def files_model() -> Path:
    """The base path of a model that reads, writes and lists the files that its inputs name. Do not change it."""
    return made_by_script(Path(__file__).with_name("make_models.py")) / "files"


@pytest.fixture(scope="session")
def serving_models() -> Path:
    """The directory of the models of the tests of the model server. Do not change it."""
    return made_by_script(Path(__file__).parents[2] / "model_server" / "make_models.py")
