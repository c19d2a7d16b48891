from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.program import Copy
from tfserve.errors import SavedModelError
from tfserve.images.model_layer import ModelArchive, layout
from tfserve.models.saved_model import find_model


def archive_of(*models: Path) -> ModelArchive:
    return ModelArchive(layout("/models", {model.name: find_model(model) for model in models}, {}))


def tar_of(archive: ModelArchive) -> bytes:
    return b"".join(archive)


def test_layout(copied: Copy) -> None:
    entries = layout("/models", {name: find_model(copied(name)) for name in ("b", "a")}, {".config": b"x"})
    names = [entry.name for entry in entries]
    assert names[:6] == ["models", "models/.config", "models/a", "models/a/1", *names[4:6]]
    assert "models/b/1/variables/variables.index" in names
    assert [entry.model for entry in entries[:3]] == [None, None, "a"]


def test_tar_program_can_read_it(half_plus_two: Path) -> None:
    entries = layout("/models", {"m": find_model(half_plus_two)}, {"file": b"content"})
    listed = subprocess.run(
        ["tar", "--list", "--verbose", "--numeric-owner", "--utc"],
        input=b"".join(ModelArchive(entries)),
        capture_output=True,
        check=True,
    ).stdout.decode()
    assert len(listed.splitlines()) == len(entries)
    for line, entry in zip(listed.splitlines(), entries, strict=True):
        mode, owner, *_, date, time, name = line.split()
        assert mode == ("drwxr-xr-x" if entry.content is None else "-rw-r--r--")
        assert (owner, date, time) == ("0/0", "1970-01-01", "00:00")
        assert name.rstrip("/") == entry.name


def test_same_model_produces_same_bytes(copied: Copy, tmp_path: Path) -> None:
    model = copied("m")
    (tmp_path / "elsewhere").mkdir()
    other = Path(shutil.copytree(model, tmp_path / "elsewhere" / "m", copy_function=shutil.copyfile))
    for path in other.rglob("*"):
        path.chmod(0o700)
        os.utime(path, (1, 1))
    first, second = archive_of(model), archive_of(other)
    assert tar_of(first) == tar_of(second)
    assert first.digests == second.digests


def test_digest_does_not_depend_on_the_name(copied: Copy) -> None:
    archive = archive_of(copied("a"), copied("b"))
    tar_of(archive)
    assert archive.digests["a"] == archive.digests["b"]
    changed = copied("c")
    with (changed / "1" / "saved_model.pb").open("ab") as file:
        file.write(b"\0")
    other = archive_of(changed)
    tar_of(other)
    assert other.digests["c"] != archive.digests["a"]


def test_progress(half_plus_two: Path) -> None:
    entries = layout("/models", {"m": find_model(half_plus_two)}, {"file": b"not part of a model"})
    read: list[int] = []
    tar_of(ModelArchive(entries, read.append))
    assert read == sorted(read)
    assert read[-1] == sum(path.stat().st_size for path in half_plus_two.rglob("*") if path.is_file())


def test_bare_saved_model_becomes_version_1(half_plus_two: Path, tmp_path: Path) -> None:
    bare = Path(shutil.copytree(half_plus_two / "1", tmp_path / "export"))
    assert "models/m/1/saved_model.pb" in [entry.name for entry in layout("/models", {"m": find_model(bare)}, {})]


def test_links_are_followed_and_other_files_ignored(copied: Copy, tmp_path: Path) -> None:
    model = copied("m")
    shutil.move(model / "1", tmp_path / "elsewhere")
    (model / "1").symlink_to(tmp_path / "elsewhere")
    variables = tmp_path / "elsewhere" / "variables"
    shutil.move(variables / "variables.index", tmp_path / "index")
    (variables / "variables.index").symlink_to(tmp_path / "index")
    (model / "secret.txt").write_text("not part of a version")
    with tarfile.open(fileobj=io.BytesIO(tar_of(archive_of(model)))) as tar:
        assert "models/m/secret.txt" not in tar.getnames()
        found = tar.extractfile("models/m/1/variables/variables.index")
        assert found is not None
        assert found.read() == (tmp_path / "index").read_bytes()


def test_unusual_and_long_names(copied: Copy) -> None:
    model = copied("m")
    odd = os.fsdecode(b"\xff\n " + b"x" * 200)
    (model / "1" / "assets").mkdir()
    (model / "1" / "assets" / odd).write_bytes(b"kept")
    with tarfile.open(fileobj=io.BytesIO(tar_of(archive_of(model))), errors="surrogateescape") as tar:
        found = tar.extractfile(f"models/m/1/assets/{odd}")
        assert found is not None
        assert found.read() == b"kept"


def break_with_a_loop(version: Path) -> None:
    (version / "assets").symlink_to(version)


def break_with_a_pipe(version: Path) -> None:
    os.mkfifo(version / "pipe")


def break_with_a_dangling_link(version: Path) -> None:
    (version / "gone").symlink_to("nowhere")


def break_with_a_second_version_1(version: Path) -> None:
    shutil.copytree(version, version.parent / "01")


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (break_with_a_loop, "link to one of its parent directories"),
        (break_with_a_pipe, "neither a file nor a directory"),
        (break_with_a_dangling_link, "No such file"),
        (break_with_a_second_version_1, "are the same version"),
    ],
)
def test_refused_models(break_it: Callable[[Path], None], words: str, copied: Copy) -> None:
    model = copied("m")
    break_it(model / "1")
    with pytest.raises(SavedModelError, match=words) as caught:
        archive_of(model)
    assert caught.value.hint


@pytest.mark.parametrize("change", [-1, 1])
def test_file_that_changes_while_it_is_read(change: int, copied: Copy) -> None:
    model = copied("m")
    archive = archive_of(model)
    file = model / "1" / "saved_model.pb"
    os.truncate(file, file.stat().st_size + change)
    with pytest.raises(SavedModelError, match="changed while it was being read"):
        tar_of(archive)


def test_file_that_vanishes_while_it_is_read(copied: Copy) -> None:
    model = copied("m")
    archive = archive_of(model)
    (model / "1" / "saved_model.pb").unlink()
    with pytest.raises(SavedModelError, match="cannot be read: No such file"):
        tar_of(archive)
