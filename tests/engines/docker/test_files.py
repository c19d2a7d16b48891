from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.program import Copy
from tfserve.engines.docker.files import copy_directory
from tfserve.errors import SavedModelError


class Receiver:
    """Takes what is sent to a container."""

    def put_archive(self, container: str, path: str, data: Any) -> bool:
        self.received = data.read()
        return True


def copied_into_container(source: Path) -> dict[str, tarfile.TarInfo]:
    receiver: Any = Receiver()
    copy_directory(receiver, "container", source, "/models/m")
    with tarfile.open(fileobj=io.BytesIO(receiver.received)) as tar:
        return {entry.name: entry for entry in tar}


def test_copy(copied: Copy) -> None:
    model = copied("m")
    (model / "1" / "saved_model.pb").chmod(0o600)
    (model / "1" / "assets").mkdir(mode=0o700)
    (model / "2").symlink_to("1")
    entries = copied_into_container(model)
    assert entries["models/m"].isdir()
    assert entries["models/m/1/assets"].mode == 0o755
    for version in "12":
        file = entries[f"models/m/{version}/saved_model.pb"]
        assert (file.mode, file.uid, file.size) == (0o644, 0, (model / "1" / "saved_model.pb").stat().st_size)


def test_refused(copied: Copy, tmp_path: Path) -> None:
    model = copied("m")
    (tmp_path / "key").write_text("a secret")
    (model / "1" / "key").symlink_to(tmp_path / "key")
    with pytest.raises(SavedModelError, match=r"/1/key' is a link to .* outside of the model"):
        copied_into_container(model)
    (model / "1" / "key").unlink()
    os.mkfifo(model / "1" / "key")
    with pytest.raises(SavedModelError, match="neither a file nor a directory"):
        copied_into_container(model)
