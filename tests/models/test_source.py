from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from tests.client.faulty_server import flooding, responding, trickling
from tests.file_server import FileServer, file_server
from tests.packing import model_files, tar_bytes, zip_bytes
from tests.recorded_progress import RecordedProgress
from tfserve.errors import SavedModelError, TfserveError, UsageError
from tfserve.host.deadline import Speed
from tfserve.models.cache import Draft, cache_root, cached_models
from tfserve.models.saved_model import Layout, read_signatures
from tfserve.models.source import find_source, source_name
from tfserve.models.url import Url
from tfserve.progress import Silent
from tfserve.spec.model import ModelSpec


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, which does not exist yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    return cache_root()


@pytest.fixture
def archive(tmp_path: Path, half_plus_two: Path) -> Path:
    """The bundled model as ``my_model.tar.gz``, with its base path in it."""
    path = tmp_path / "my_model.tar.gz"
    path.write_bytes(tar_bytes(model_files(half_plus_two, "half_plus_two/")))
    return path


@pytest.fixture
def web(half_plus_two: Path) -> Iterator[FileServer]:
    """A server of the bundled model at ``/my_model.tgz``."""
    with file_server() as served:
        served.files["/my_model.tgz"] = tar_bytes(model_files(half_plus_two))
        yield served


def leftovers(cache: Path) -> list[str]:
    """Returns the names of everything in the cache that is not a model."""
    return sorted(path.name for path in cache.iterdir() if len(path.name) != 64) if cache.exists() else []


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("prefix", "strip", "layout"),
    [
        ("", "", Layout.BASE_PATH),
        ("some name/", "", Layout.BASE_PATH),
        ("./a/b/", "", Layout.BASE_PATH),
        ("", "1/", Layout.BARE),
        ("./", "1/", Layout.BARE),
        ("a dir/", "1/", Layout.BARE),
    ],
)
@pytest.mark.parametrize("suffix", [".tar.gz", ".tgz", ".TAR", ".zip"])
def test_layouts(tmp_path: Path, half_plus_two: Path, suffix: str, prefix: str, strip: str, layout: Layout) -> None:
    files = {
        **{prefix + name.removeprefix(strip): data for name, data in model_files(half_plus_two).items()},
        "README.md": b"another file",
        "__MACOSX/._x": b"",
        ".DS_Store": b"",
    }
    content = zip_bytes(files) if suffix == ".zip" else tar_bytes(files, compress=suffix != ".TAR")
    (tmp_path / f"resnet{suffix}").write_bytes(content)
    found = find_source(tmp_path / f"resnet{suffix}")
    assert (found.layout, found.default_name, found.newest.number) == (layout, "resnet", 1)
    assert found.path.is_relative_to(cache_root())
    assert "serving_default" in read_signatures(found.newest)


def test_archive_is_unpacked_once(archive: Path, cache: Path) -> None:
    progress = RecordedProgress()
    first = find_source(archive, progress=progress)
    assert progress.copies == [f"Unpacking {archive}"]
    moved = archive.rename(archive.with_name("other.tgz"))
    second = find_source(moved, progress=progress)
    assert (second.path, second.default_name) == (first.path, "other")
    assert len(progress.copies) == 1
    (model,) = cached_models()
    assert (model.digest, model.source) == (digest_of(moved), str(archive))
    assert model.files == sum(path.is_file() for path in model.path.rglob("*"))
    assert model.size == sum(path.stat().st_size for path in model.path.rglob("*") if path.is_file())
    assert leftovers(cache) == []
    assert sorted(path.name for path in model.path.parent.iterdir()) == ["model", "model.json"]


def test_concurrent_calls_unpack_once(archive: Path, cache: Path) -> None:
    progress, found = RecordedProgress(), []
    threads = [
        threading.Thread(target=lambda: found.append(find_source(archive, progress=progress).path)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(progress.copies) == 1
    assert leftovers(cache) == []


def test_draft_of_a_killed_process_is_replaced(archive: Path, cache: Path) -> None:
    key = digest_of(archive)
    program = f"""
import os
from tfserve.host.deadline import Speed
from tfserve.models.cache import Draft
with Draft.begin({key!r}) as draft:
    draft.content.mkdir()
    (draft.content / "half").write_text("x")
    os.kill(os.getpid(), 9)
"""
    died = subprocess.run([sys.executable, "-c", program], check=False)
    assert died.returncode == -9
    assert leftovers(cache) == [f".draft-{key}", f".draft-{key}.lock"]
    find_source(archive)
    assert leftovers(cache) == []
    assert not list(cache.rglob("half"))


def test_interrupt_leaves_nothing_behind(archive: Path, cache: Path) -> None:
    class Interrupting(Silent):
        def copying(self, what: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
            def interrupt(done: int) -> None:
                raise KeyboardInterrupt

            return nullcontext(interrupt)

    with pytest.raises(KeyboardInterrupt):
        find_source(archive, progress=Interrupting())
    assert list(cache.iterdir()) == []
    find_source(archive)


def test_damaged_record_is_replaced(archive: Path, cache: Path) -> None:
    directory = find_source(archive).path
    (cache / digest_of(archive) / "model.json").write_text("{")
    assert cached_models() == []
    assert find_source(archive).path == directory
    assert len(cached_models()) == 1
    assert leftovers(cache) == []


class Overwriting(Silent):
    """Calls `overwrite` when an archive is about to be unpacked."""

    def __init__(self, overwrite: Callable[[], None]) -> None:
        self.overwrite = overwrite

    def copying(self, what: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        if what.startswith("Unpacking"):
            self.overwrite()
        return nullcontext(lambda done: None)


def overwrite_in_place(path: Path) -> None:
    """Replaces the model in an archive by another one with the same length, without a trace in the file's times."""
    times = path.stat()
    content = path.read_bytes()
    assert b"harmless" in content
    with path.open("r+b") as file:
        file.write(content.replace(b"harmless", b"an enemy"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def asset_in(found: Path) -> bytes:
    return (found / "1" / "assets" / "a").read_bytes()


@pytest.fixture(params=[".tar", ".zip"])
def uncompressed(request: pytest.FixtureRequest, half_plus_two: Path) -> bytes:
    """An archive in which the content of a file is found by its text."""
    files = {**model_files(half_plus_two), "1/assets/a": b"harmless"}
    if request.param == ".tar":
        return tar_bytes(files, compress=False)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_archive_that_is_overwritten_before_it_is_unpacked(tmp_path: Path, uncompressed: bytes) -> None:
    archive = tmp_path / "m.zip"
    archive.write_bytes(uncompressed)
    digest = digest_of(archive)
    found = find_source(archive, sha256=digest, progress=Overwriting(lambda: overwrite_in_place(archive)))
    assert asset_in(found.path) == b"harmless"
    assert b"an enemy" in archive.read_bytes()
    assert [model.digest for model in cached_models()] == [digest]


def test_archive_that_is_overwritten_after_it_was_checked(
    tmp_path: Path, uncompressed: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "m.zip"
    archive.write_bytes(uncompressed)
    pending = [archive]

    def overwrite_once(_: str) -> None:
        while pending:
            overwrite_in_place(pending.pop())

    monkeypatch.setattr("tfserve.models.archives.find_cached", overwrite_once)
    with pytest.raises(SavedModelError, match="changed while it was being read"):
        find_source(archive)
    assert leftovers(cache) == []
    assert cached_models() == []


def test_archive_that_is_replaced_before_it_is_unpacked(tmp_path: Path, uncompressed: bytes) -> None:
    archive = tmp_path / "m.zip"
    archive.write_bytes(uncompressed)

    def replace() -> None:
        (tmp_path / "new").write_bytes(uncompressed)
        overwrite_in_place(tmp_path / "new")
        (tmp_path / "new").rename(archive)

    assert asset_in(find_source(archive, progress=Overwriting(replace)).path) == b"harmless"


def test_download_that_is_overwritten_before_it_is_unpacked(web: FileServer, uncompressed: bytes, cache: Path) -> None:
    web.files["/m.zip"] = uncompressed
    digest = hashlib.sha256(uncompressed).hexdigest()

    def overwrite() -> None:
        for path in cache.glob(".draft-*/*"):
            if path.is_file():
                overwrite_in_place(path)

    found = find_source(Url(f"{web.url}/m.zip"), sha256=digest, progress=Overwriting(overwrite))
    assert asset_in(found.path) == b"harmless"


def test_pipe_in_place_of_an_archive(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.zip")
    with pytest.raises(SavedModelError, match=r"is a file, but|is an archive of a kind"):
        find_source(tmp_path / "m.zip")


def test_digest_is_checked(archive: Path, cache: Path) -> None:
    digest = digest_of(archive)
    with pytest.raises(SavedModelError, match=f"its SHA-256 is {digest}, not 0000"):
        find_source(archive, sha256="0" * 64)
    assert leftovers(cache) == []
    assert find_source(archive, sha256=digest.upper()).default_name == "my_model"
    with pytest.raises(UsageError, match="is not a SHA-256 digest"):
        find_source(archive, sha256=digest[1:])
    with pytest.raises(UsageError, match="is not an archive"):
        find_source(archive.parent, sha256=digest)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "nothing"),
        ({"model.keras": b"", "a": b"", "\x1b[2J": b""}, r"\x1b[2J, a, model.keras"),
        ({"m/1/notes.txt": b""}, "m"),
        ({"a/saved_model.pb": b"", "b/saved_model.pb": b""}, "a, b"),
    ],
)
def test_archives_without_a_model(tmp_path: Path, cache: Path, files: dict[str, bytes], words: str) -> None:
    (tmp_path / "a.zip").write_bytes(zip_bytes(files))
    with pytest.raises(SavedModelError) as caught:
        find_source(tmp_path / "a.zip")
    assert f"serve, only: {words}." in caught.value.message
    assert str(cache) not in f"{caught.value.message}{caught.value.hint}"
    assert list(cache.iterdir()) == []


def test_full_cache(tmp_path: Path, half_plus_two: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(small_disk))
    files = {**model_files(half_plus_two, "m/"), "m/1/assets/big": os.urandom(500_000)}
    (tmp_path / "big.tar").write_bytes(tar_bytes(files, compress=False))
    with pytest.raises(TfserveError) as caught:
        find_source(tmp_path / "big.tar")
    assert "No space left on device" in caught.value.message
    assert "tfserve cache clear" in str(caught.value.hint)
    assert list(cache_root().iterdir()) == []
    with file_server() as web:
        web.files["/big.tar"] = (tmp_path / "big.tar").read_bytes()
        with pytest.raises(TfserveError, match="No space left on device"):
            find_source(Url(f"{web.url}/big.tar"))
    assert list(cache_root().iterdir()) == []


def test_file_size_limit(tmp_path: Path, half_plus_two: Path, cache: Path) -> None:
    files = {**model_files(half_plus_two, "m/"), "m/1/assets/big": os.urandom(500_000)}
    (tmp_path / "big.tar").write_bytes(tar_bytes(files, compress=False))
    program = """
import resource, sys
from pathlib import Path
from tfserve.errors import TfserveError
from tfserve.models.source import find_source
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    find_source(Path(sys.argv[1]))
except TfserveError as error:
    print(type(error).__name__, error.message)
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "big.tar")], capture_output=True, text=True)
    assert done.stdout.startswith("TfserveError "), done.stderr
    assert "File too large" in done.stdout
    assert list(cache.iterdir()) == []


def test_read_only_cache(archive: Path, read_only: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(read_only))
    with pytest.raises(TfserveError) as caught:
        find_source(archive)
    assert str(read_only) in caught.value.message
    assert "XDG_CACHE_HOME" in str(caught.value.hint)
    monkeypatch.setenv("XDG_CACHE_HOME", str(archive))  # not a directory
    with pytest.raises(TfserveError, match="Not a directory"):
        find_source(archive)
    assert cached_models() == []


def test_download(web: FileServer, cache: Path) -> None:
    progress = RecordedProgress()
    url = Url(f"{web.url}/my_model.tgz?token=s3cret")
    found = find_source(url, progress=progress)
    assert (found.default_name, found.layout) == ("my_model", Layout.BASE_PATH)
    assert progress.copies == [f"Downloading {web.url}/my_model.tgz", f"Unpacking {web.url}/my_model.tgz"]
    assert find_source(url, progress=progress).path == found.path
    assert [status for _, _, status in web.requests] == [200, 304]
    assert len(progress.copies) == 2
    assert leftovers(cache) == [".urls"]
    written = b"".join(path.read_bytes() + path.name.encode() for path in cache.rglob("*.json"))
    assert b"s3cret" not in written
    assert json.loads((found.path.parent / "model.json").read_text())["source"] == f"{web.url}/my_model.tgz"


def test_file_and_its_download_share_a_model(web: FileServer, tmp_path: Path) -> None:
    (tmp_path / "m.tgz").write_bytes(web.files["/my_model.tgz"])
    there = find_source(tmp_path / "m.tgz")
    assert find_source(Url(f"{web.url}/my_model.tgz")).path == there.path
    assert len(cached_models()) == 1


def test_changed_archive_is_downloaded_again(web: FileServer, half_plus_two: Path) -> None:
    url = Url(f"{web.url}/my_model.tgz")
    first = find_source(url)
    web.files["/my_model.tgz"] = tar_bytes({**model_files(half_plus_two), "new": b""})
    assert find_source(url).path != first.path
    assert [status for _, _, status in web.requests] == [200, 200]
    assert len(cached_models()) == 2


def test_known_digest_needs_no_request(web: FileServer) -> None:
    digest = hashlib.sha256(web.files["/my_model.tgz"]).hexdigest()
    url = Url(f"{web.url}/my_model.tgz")
    find_source(url, sha256=digest)
    find_source(url, sha256=digest)
    assert len(web.requests) == 1
    with pytest.raises(SavedModelError, match="is not the expected archive"):
        find_source(url, sha256="f" * 64)


def test_last_download_is_used_without_a_network(web: FileServer, cache: Path) -> None:
    url = Url(f"{web.url}/my_model.tgz")
    found = find_source(url)
    progress = RecordedProgress()
    web.files["/my_model.tgz"] += b" "
    web.cut = 0
    assert find_source(url, progress=progress).path == found.path
    assert "Using the copy of" in progress.notices[0]
    assert leftovers(cache) == [".urls"]


@pytest.mark.parametrize("chunked", [False, True])
def test_connection_lost(web: FileServer, cache: Path, chunked: bool) -> None:
    web.cut, web.chunked = 1000, chunked
    with pytest.raises(SavedModelError) as caught:
        find_source(Url(f"{web.url}/my_model.tgz"))
    # Without a length, a lost connection looks like the end of the file.
    assert ("truncated" if chunked else "was lost") in caught.value.message
    assert leftovers(cache) == []
    web.cut = None
    assert find_source(Url(f"{web.url}/my_model.tgz"))


@pytest.mark.parametrize(
    ("status", "words"), [(404, "not found"), (401, "login required"), (403, "access denied"), (500, "HTTP 500")]
)
def test_http_errors(web: FileServer, cache: Path, status: int, words: str) -> None:
    web.statuses["/my_model.tgz"] = status
    with pytest.raises(SavedModelError) as caught:
        find_source(Url(f"{web.url}/my_model.tgz?token=s3cret"))
    assert words in caught.value.message
    assert ("netrc" in str(caught.value.hint)) == (status in (401, 403))
    assert "s3cret" not in f"{caught.value.message}{caught.value.hint}"
    assert leftovers(cache) == []


def test_redirects(web: FileServer) -> None:
    web.redirects = {"/a": "/my_model.tgz", "/circle": "/circle", "/out": "http://example.invalid/m.tgz?s3cret"}
    assert find_source(Url(f"{web.url}/a")).default_name == "a"
    with pytest.raises(SavedModelError, match="redirects too often"):
        find_source(Url(f"{web.url}/circle"))
    with pytest.raises(SavedModelError) as caught:
        find_source(Url(f"{web.url}/out"))
    assert "redirects to http://example.invalid/m.tgz, where the connection is not encrypted" in caught.value.message


def test_http_needs_a_digest() -> None:
    with pytest.raises(UsageError, match="anyone on the network could replace"):
        find_source(Url("http://example.invalid/m.tgz"))
    with pytest.raises(SavedModelError, match="cannot be reached"):
        find_source(Url("http://example.invalid/m.tgz"), sha256="0" * 64)


def test_download_over_the_limit(web: FileServer, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFSERVE_ARCHIVE_MAX_GIB", "1e-6")
    for chunked in (False, True):
        web.chunked = chunked
        with pytest.raises(SavedModelError, match="is larger than the limit of 1,073 bytes"):
            find_source(Url(f"{web.url}/my_model.tgz"))
    assert leftovers(cache) == []


SLOW = {
    "head": b"",
    "header": b"HTTP/1.1 200 OK\r\nX: ",
    "body": b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n",
    "body without a length": b"HTTP/1.1 200 OK\r\n\r\n",
    "size of a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
    "body of a redirect": b"HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n",
}


@pytest.mark.parametrize("start", SLOW.values(), ids=SLOW)
@pytest.mark.parametrize(
    "speed", [Speed(window=0.15, least=1000), Speed(window=60, grace=0.15, average=1000)], ids=["window", "average"]
)
def test_endlessly_slow_download(start: bytes, speed: Speed, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfserve.models.download._HEAD_SECONDS", 0.15)
    monkeypatch.setattr("tfserve.models.download.SPEED", speed)
    with (
        trickling(start) as server,
        pytest.raises(SavedModelError, match="did not respond in time, or sends its data too slowly"),
    ):
        find_source(Url(f"{server.url}/m.tgz"))
    assert leftovers(cache) == []


def test_slow_download_that_is_fast_enough(web: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfserve.models.download.SPEED", Speed(window=0.01, least=1))
    assert find_source(Url(f"{web.url}/my_model.tgz"))


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /b\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[::\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 ",
    ],
)
def test_endless_response_before_the_download(start: bytes, cache: Path) -> None:
    with flooding(start) as server, pytest.raises(SavedModelError):
        find_source(Url(f"{server.url}/m.tgz"))
    assert leftovers(cache) == []


@pytest.mark.parametrize("length", ["9" * 5000, "\xb2", "-1", "1_0"])
def test_invalid_length(length: str, cache: Path) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode("latin-1")
    with responding(head) as server, pytest.raises(SavedModelError):
        find_source(Url(f"{server.url}/m.tgz"))
    assert leftovers(cache) == []


def test_unusable_addresses(cache: Path) -> None:
    for address in ("https://127.0.0.1:1/m.zip", "https://a..b/m.zip", "https://\udcff/m.zip"):
        with pytest.raises(SavedModelError):
            find_source(Url(address))
    assert leftovers(cache) == []


def test_source_name(archive: Path, half_plus_two: Path) -> None:
    assert source_name(archive) == "my_model"
    assert source_name(half_plus_two) == "half_plus_two"
    assert source_name(Url("https://host.invalid/resnet.zip")) == "resnet"
    shutil.copytree(half_plus_two, archive.parent / "dir.zip")
    assert source_name(archive.parent / "dir.zip") == "dir.zip"
    assert find_source(archive.parent / "dir.zip").layout is Layout.BASE_PATH
    with pytest.raises(SavedModelError, match="There is no model at"):
        source_name(Path("nope.tar.gz"))


def test_notice_of_waiting(archive: Path) -> None:
    progress = RecordedProgress()
    with Draft.begin(digest_of(archive)):
        waiting = threading.Thread(target=find_source, args=(archive,), kwargs={"progress": progress})
        waiting.start()
        while not progress.notices:
            waiting.join(0.001)
    waiting.join(30)
    assert progress.notices == [f"Waiting for another tfserve command that is unpacking {archive}"]
    assert len(cached_models()) == 1


def test_bucket_is_only_for_servers() -> None:
    assert source_name(Url("s3://bucket/a/m")) == "m"
    with pytest.raises(UsageError, match="s3://bucket/m is in a bucket, which only a server can read"):
        find_source(Url("s3://bucket/m"))
    with pytest.raises(UsageError, match="has no digest"):
        ModelSpec(Url("s3://bucket/m"), "m", sha256="0" * 64)
