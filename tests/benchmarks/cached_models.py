"""Models, and an environment with BentoML, that take long to make and are shared by all runs of the benchmarks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cached import made_by_script, virtual_environment

_BENTOML = "bentoml>=1.4,<1.5"


def models() -> Path:
    """Returns the directory that ``make_models.py`` filled."""
    return made_by_script(Path(__file__).with_name("make_models.py"))


def conv_models() -> Path:
    """Returns the directory that ``make_conv_model.py`` filled."""
    return made_by_script(Path(__file__).with_name("make_conv_model.py"))


def bentoml() -> Path:
    """Returns the directory of an environment with BentoML. Making it takes a minute, once."""
    return virtual_environment((_BENTOML,))


@contextmanager
def temporary(content: bytes | str) -> Iterator[Path]:
    """Gives a temporary file with this content, which exists while the block runs."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "file"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        yield file
