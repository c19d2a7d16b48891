from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.packing import tar_bytes, tar_of, zip_bytes
from tfserve.errors import SavedModelError, UsageError
from tfserve.models.extract import Limits, Unpacked, unpack

FILES = {"m/1/saved_model.pb": b"pb" * 300, "m/1/variables/variables.index": b"", "m/notes ä.txt": b"x" * 2_000_000}
KINDS: list[Callable[[dict[str, bytes]], bytes]] = [
    tar_bytes,
    lambda files: tar_bytes(files, compress=False),
    zip_bytes,
]


def unpack_file(archive: Path, target: Path, **options: Any) -> Unpacked:
    with archive.open("rb") as file:
        return unpack(file, target, **options)


def refusal(tmp_path: Path, content: bytes, limits: Limits | None = None) -> SavedModelError:
    """Returns the error for an archive, after checking that nothing was created outside the target."""
    before = set(tmp_path.parent.iterdir())
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(SavedModelError) as caught:
        unpack_file(tmp_path / "a", tmp_path / "target", shown="bad.zip", limits=limits or Limits())
    assert {path.name for path in tmp_path.iterdir()} == {"a", "target"}
    assert set(tmp_path.parent.iterdir()) == before
    assert "'bad.zip'" in caught.value.message
    assert caught.value.hint
    return caught.value


def entry(name: str, **fields: Any) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(member, field, value)
    return member


@pytest.mark.parametrize("pack", KINDS)
def test_unpacks_all_files(tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes]) -> None:
    (tmp_path / "a").write_bytes(pack(FILES))
    read: list[int] = []
    unpacked = unpack_file(tmp_path / "a", tmp_path / "out", shown="a", limits=Limits(), on_progress=read.append)
    found = {
        path.relative_to(tmp_path / "out").as_posix(): path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert found == FILES
    assert (unpacked.files, unpacked.size) == (3, sum(map(len, FILES.values())))
    assert read == sorted(read)
    assert 0 < read[-1] <= (tmp_path / "a").stat().st_size


def test_permissions_in_an_archive_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(tar_bytes({}, [entry("run", mode=0o6777), entry("d", type=tarfile.DIRTYPE, mode=0)]))
    unpack_file(tmp_path / "a", tmp_path / "out", shown="a", limits=Limits())
    assert (tmp_path / "out" / "run").stat().st_mode & 0o7111 == 0
    assert os.access(tmp_path / "out" / "d", os.R_OK | os.W_OK | os.X_OK)


@pytest.mark.parametrize("name", ["../out", "m/../../out", "/tmp/out", "m/1/..", "m\\..\\..\\out"])
@pytest.mark.parametrize("pack", KINDS)
def test_paths_that_leave_the_directory(tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes], name: str) -> None:
    assert "could leave the model's directory" in refusal(tmp_path, pack({**FILES, name: b"!"})).message


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (entry("m/2", type=tarfile.SYMTYPE, linkname="/etc"), "'m/2' in it is a link"),
        (entry("m/2", type=tarfile.SYMTYPE, linkname="1"), "is a link"),
        (entry("m/2", type=tarfile.LNKTYPE, linkname="/etc/passwd"), "is a link"),
        (entry("m/2", type=tarfile.CHRTYPE, devmajor=1, devminor=5), "neither a file nor a directory"),
        (entry("m/2", type=tarfile.BLKTYPE), "neither a file nor a directory"),
        (entry("m/2", type=tarfile.FIFOTYPE), "neither a file nor a directory"),
        (entry("m/2", type=b"V"), "neither a file nor a directory"),
        (entry("m/notes ä.txt"), "twice"),
        (entry("m/1", type=tarfile.REGTYPE), "twice"),
        (entry("m/notes ä.txt/x"), "twice"),
        (entry("x" * 300), "is not valid on this file system"),
        (entry("/".join("x" * 40)), "more than 32 deep"),
        (entry("\x1b[2J/../x"), "'\\\\x1b[2J/../x'"),
    ],
)
def test_refused_entries(tmp_path: Path, member: tarfile.TarInfo, words: str) -> None:
    assert words in refusal(tmp_path, tar_bytes(FILES, [member])).message


def test_refused_zips(tmp_path: Path) -> None:
    assert "is a link" in refusal(tmp_path, zip_bytes(FILES, links={"m/2": "/etc"})).message
    (tmp_path / "target" / "m" / "notes ä.txt").unlink()  # the entries before the link were unpacked
    encrypted = bytearray(zip_bytes({"a": b"1"}))
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "b").mkdir()
    assert "is encrypted" in refusal(tmp_path / "b", bytes(encrypted)).message
    (tmp_path / "c").mkdir()
    lzma = zip_bytes({"a": b"1"}, method=zipfile.ZIP_LZMA)
    assert "compression method is not deflate" in refusal(tmp_path / "c", lzma).message


@pytest.mark.parametrize("pack", KINDS)
def test_zip_bomb(tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes]) -> None:
    bomb = pack({f"m/{number}": bytes(2**20) for number in range(8)})
    error = refusal(tmp_path, bomb, Limits(size=3 * 2**20))
    assert "contains more than 0.00293 GiB" in error.message
    assert "TFSERVE_ARCHIVE_MAX_GIB" in str(error.hint)
    assert sum(path.stat().st_size for path in (tmp_path / "target").rglob("*") if path.is_file()) <= 3 * 2**20


def test_zip_with_wrong_sizes(tmp_path: Path) -> None:
    content = bytearray(zip_bytes({"m": bytes(2**20)}))
    for start in (content.index(b"PK\x03\x04") + 22, content.index(b"PK\x01\x02") + 24):
        content[start : start + 4] = (10).to_bytes(4, "little")
    assert "damaged" in refusal(tmp_path, bytes(content)).message


def test_many_entries(tmp_path: Path) -> None:
    error = refusal(tmp_path, tar_bytes({str(number): b"" for number in range(30)}), Limits(entries=20))
    assert "more than 20 files and directories" in error.message
    assert "TFSERVE_ARCHIVE_MAX_ENTRIES" in str(error.hint)


def test_huge_name(tmp_path: Path) -> None:
    long_name = (entry("././@LongLink", type=tarfile.GNUTYPE_LONGNAME, size=2**22), bytes(2**22))
    assert "a header of 4194304 bytes" in refusal(tmp_path, tar_of([long_name])).message


def test_endless_headers(tmp_path: Path) -> None:
    header = (entry("x", type=tarfile.XHDTYPE, size=12), b"12 path=abc\n")
    assert "damaged" in refusal(tmp_path, tar_of([header] * 3000)).message


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("part", [0.001, 0.3, 0.7, 0.999])
def test_truncated_tar(tmp_path: Path, compress: bool, part: float) -> None:
    whole = tar_bytes({"m/1/saved_model.pb": os.urandom(100_000), "b": b"b"}, compress=compress)
    end = len(whole) if compress else 101_888  # the rest is padding
    assert "is damaged or truncated" in refusal(tmp_path, whole[: int(end * part)]).message


def test_tar_truncated_between_entries(tmp_path: Path) -> None:
    whole = tar_bytes({"a": bytes(512), "b": bytes(512)}, compress=False)
    assert "the end-of-archive marker is missing" in refusal(tmp_path, gzip.compress(whole[:1024])).message


def test_truncated_zip(tmp_path: Path) -> None:
    assert "damaged" in refusal(tmp_path, zip_bytes(FILES)[:-40]).message


@pytest.mark.parametrize(
    "content", [b"", b"<!DOCTYPE html>" * 99, b"\x1f\x8b", b"PK\x03\x04", gzip.compress(b"x", mtime=0)]
)
def test_not_an_archive(tmp_path: Path, content: bytes) -> None:
    assert ", or not a tar or zip archive: " in refusal(tmp_path, content).message


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from([0, 1, 2]))
def test_any_damage(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, kind: int) -> None:
    whole = bytearray(KINDS[kind]({"m/1/saved_model.pb": b"pb" * 300, "a": b"a"}))
    if kind == 0:  # change the tar inside: gzip would detect any change of its own data
        whole = bytearray(gzip.decompress(bytes(whole)))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, min(len(whole), 3000) - 1))] = data.draw(st.integers(0, 255))
    directory = tmp_path_factory.mktemp("fuzz")
    (directory / "a").write_bytes(gzip.compress(bytes(whole)) if kind == 0 else bytes(whole))
    try:
        unpack_file(directory / "a", directory / "target", shown="a", limits=Limits(size=2**24, entries=100))
    except SavedModelError as error:
        assert error.message.isprintable()
    assert {path.name for path in directory.iterdir()} == {"a", "target"}
    assert not any(path.is_symlink() for path in directory.rglob("*"))


def test_file_with_the_name_of_a_directory(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("m/", b"")
        archive.writestr("m", b"x")
    assert "twice" in refusal(tmp_path, buffer.getvalue()).message


def test_long_list_of_entries(tmp_path: Path) -> None:
    """Zipfile would read all of it before the first entry."""
    entries = (b"PK\x01\x02" + bytes(24) + b"\1" + bytes(17) + b"a") * 1_000_000
    end = b"PK\x05\x06" + bytes(8) + len(entries).to_bytes(4, "little") + (4).to_bytes(4, "little") + bytes(2)
    assert "more than 100 files" in refusal(tmp_path, b"PK\x03\x04" + entries + end, Limits(entries=100)).message


def test_limits_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Limits.configured() == Limits()
    assert Limits().size_of(100) == 2**30
    monkeypatch.setenv("TFSERVE_ARCHIVE_MAX_GIB", "1.5")
    monkeypatch.setenv("TFSERVE_ARCHIVE_MAX_ENTRIES", "7")
    assert Limits.configured() == Limits(size=3 * 2**29, entries=7, ratio=None)
    assert Limits.configured().size_of(100) == 3 * 2**29
    for wrong in ("much", "-1", "0", "nan", "inf"):
        monkeypatch.setenv("TFSERVE_ARCHIVE_MAX_GIB", wrong)
        with pytest.raises(UsageError, match="is not a number"):
            Limits.configured()
