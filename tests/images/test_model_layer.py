from __future__ import annotations

import io
import os
import shutil
import socket
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


def test_links_in_the_model_are_followed_and_other_files_ignored(copied: Copy) -> None:
    model = copied("m")
    (model / "01").mkdir()
    shutil.move(model / "1", model / "newest")
    (model / "01").rmdir()
    (model / "1").symlink_to("newest")
    variables = model / "newest" / "variables"
    shutil.move(variables / "variables.index", model / "index")
    (variables / "variables.index").symlink_to(model / "index")
    (model / "newest" / "same").symlink_to("variables")
    os.link(model / "index", model / "newest" / "hard")
    (model / "secret.txt").write_text("not part of a version")
    with tarfile.open(fileobj=io.BytesIO(tar_of(archive_of(model)))) as tar:
        assert "models/m/secret.txt" not in tar.getnames()
        for name in ("variables/variables.index", "same/variables.index", "hard"):
            found = tar.extractfile(f"models/m/1/{name}")
            assert found is not None
            assert found.read() == (model / "index").read_bytes()


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


def break_with_a_loop_of_links(version: Path) -> None:
    (version / "a").symlink_to("b")
    (version / "b").symlink_to("a")


def break_with_a_socket(version: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(version / "socket"))


def break_with_a_device(version: Path) -> None:
    (version / "zero").symlink_to("/dev/zero")


def break_with_many_links(version: Path) -> None:
    """Files of a few bytes, which links multiply to 2^20."""
    (version / "d0").mkdir()
    for number in range(1, 21):
        (version / f"d{number}").mkdir()
        for name in "ab":
            (version / f"d{number}" / name).symlink_to(f"../d{number - 1}")


def break_with_deep_directories(version: Path) -> None:
    version.joinpath(*["d"] * 200).mkdir(parents=True)


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
        (break_with_a_loop_of_links, "Too many levels"),
        (break_with_a_socket, "neither a file nor a directory"),
        (break_with_a_device, "outside of the model"),
        (break_with_many_links, "more than 5000 files"),
        (break_with_deep_directories, "nested more than"),
        (break_with_a_pipe, "neither a file nor a directory"),
        (break_with_a_dangling_link, "No such file"),
        (break_with_a_second_version_1, "are the same version"),
    ],
)
def test_refused_models(
    break_it: Callable[[Path], None], words: str, copied: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFSERVE_ARCHIVE_MAX_ENTRIES", "5000")
    model = copied("m")
    break_it(model / "1")
    with pytest.raises(SavedModelError, match=words) as caught:
        archive_of(model)
    assert caught.value.hint


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A directory next to the models, with a file that belongs to the user."""
    directory = tmp_path / "private"
    directory.mkdir()
    (directory / "key").write_text("a secret")
    (directory / "key").chmod(0o600)
    return directory


LINKS = {
    "absolute": [("assets", "{private}/key")],
    "relative": [("assets", "../../private/key")],
    "directory": [("assets", "{private}")],
    "twice": [("first", "{private}/key"), ("assets", "first")],
    "through a directory": [("assets", "variables/../../../private/key")],
    "same beginning": [("assets", "{private}/../m-other/key")],
}


@pytest.mark.parametrize("links", LINKS.values(), ids=LINKS)
def test_link_out_of_the_model(links: list[tuple[str, str]], private: Path, copied: Copy) -> None:
    model = copied("m")
    shutil.copytree(private, f"{model}-other")
    for name, target in links:
        (model / "1" / name).symlink_to(target.format(private=private))
    for given in (model, model / "1"):
        with pytest.raises(SavedModelError, match=r"/(assets|first)' is a link to .* outside of the model") as caught:
            archive_of(given)
        assert caught.value.exit_code == 3


def test_version_that_is_a_link_out_of_the_model(copied: Copy, tmp_path: Path) -> None:
    model = copied("m")
    shutil.move(model / "1", tmp_path / "elsewhere")
    (model / "1").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SavedModelError, match=r"/m/1' is a link to .*elsewhere', which is outside of the model"):
        archive_of(model)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    assert archive_of(link)  # the user names this directory


def exchange_the_file(version: Path, private: Path) -> None:
    (version / "assets" / "key").unlink()
    (version / "assets" / "key").symlink_to(private / "key")


def exchange_the_directory(version: Path, private: Path) -> None:
    shutil.rmtree(version / "assets")
    (version / "assets").symlink_to(private)


def exchange_the_model(version: Path, private: Path) -> None:
    shutil.move(version.parent, f"{version.parent}-moved")
    shutil.copytree(f"{version.parent}-moved", private / "m")
    shutil.copy(private / "key", private / "m" / "1" / "assets" / "key")
    version.parent.symlink_to(private / "m")


def exchange_for_a_pipe(version: Path, private: Path) -> None:
    (version / "assets" / "key").unlink()
    os.mkfifo(version / "assets" / "key")


@pytest.mark.parametrize(
    "exchange", [exchange_the_file, exchange_the_directory, exchange_the_model, exchange_for_a_pipe]
)
def test_link_that_replaces_a_file_after_the_check(
    exchange: Callable[[Path, Path], None], private: Path, copied: Copy
) -> None:
    model = copied("m")
    (model / "1" / "assets").mkdir()
    (model / "1" / "assets" / "key").write_text("harmless")
    archive = archive_of(model)
    exchange(model / "1", private)
    sent: list[bytes] = []
    with pytest.raises(SavedModelError, match=r"cannot be read|neither a file"):
        sent += archive
    assert b"a secret" not in b"".join(sent)


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
