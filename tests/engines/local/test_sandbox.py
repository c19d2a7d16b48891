"""A model is a program: what it can do to the machine that serves it, through a server as users start it."""

from __future__ import annotations

import importlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.program import Copy, Program, assert_error, eventually
from tfserve.host.landlock import landlock_abi

from .files_client import FilesClient

pytestmark = pytest.mark.skipif(landlock_abi() == 0, reason="the kernel has no Landlock")

PORTS = ("--engine", "local", "--rest-port", "0", "--grpc-port", "0")
DENIED = "Permission denied"


@pytest.fixture(scope="module")
def model(files_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the model, with links to private files among its own."""
    base = tmp_path_factory.mktemp("stranger") / "files"
    shutil.copytree(files_model, base)
    secret = base.parent.with_name("linked-secret")
    secret.write_text("s3cret")
    (base / "1" / "link").symlink_to(secret)
    (base / "1" / "directory").symlink_to(secret.parent)
    (base / "2-link").symlink_to(secret.parent)
    (base / "0").symlink_to(secret.parent)  # not a SavedModel
    (base / "1" / "within").symlink_to("saved_model.pb")
    return base


@pytest.fixture(scope="module")
def other(shared_tfserve: Program, half_plus_two: Path) -> Any:
    """Another server of the same user."""
    return shared_tfserve.json("run", half_plus_two, "--name", "other", *PORTS, "--wait", "0", "--env", "KEY=s3cret")


@pytest.fixture(scope="module")
def client(shared_tfserve: Program, model: Path, other: object) -> FilesClient:
    """The model in a server with the defaults."""
    started = shared_tfserve.json("run", model, "--name", "files", "--versions", "1", *PORTS)
    return FilesClient(started["rest_url"])


def test_model_reads_its_own_files(client: FilesClient, model: Path) -> None:
    assert client.own() == "an asset"
    assert client.read(model / "1" / "assets" / "asset.txt") == "an asset"
    assert client.match(model / "1" / "assets" / "*") == [str(model / "1" / "assets" / "asset.txt")]


def test_model_reads_nothing_else(client: FilesClient, shared_tfserve: Program, model: Path, tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.write_text("s3cret")
    private.chmod(0o600)
    key = shared_tfserve.home / ".ssh" / "id_rsa"
    key.parent.mkdir()
    key.write_text("s3cret")
    servers = shared_tfserve.servers
    assert (servers / "other" / "server.json").is_file()
    paths: tuple[str | Path, ...] = (
        *(private, key, "/etc/passwd", "/etc/shadow", "/etc/hostname", "/etc/resolv.conf"),
        *("/proc/self/environ", "/proc/thread-self/environ", "/proc/1/environ", f"/proc/{os.getpid()}/environ"),
        *(
            "/proc/self/maps",
            "/proc/self/root/etc/passwd",
            "/proc/self/cwd/server.json",
            f"/proc/{os.getpid()}/cmdline",
        ),
        *(servers / name / file for name in ("files", "other") for file in ("server.json", "server.log", "lock")),
        *(model / "1" / "link", model / "1" / "directory" / "linked-secret", model / "2-link" / "linked-secret"),
        *(model / "0" / "linked-secret", model / "1" / ".." / ".." / ".." / "linked-secret"),
        *("/dev/stdout", "/dev/mem", "/var/log/dpkg.log", "/usr/bin/env", __file__),
    )
    for path in paths:
        answer = client.read(path)
        assert DENIED in answer or "No such file" in answer, (path, answer)
        assert DENIED in answer or not Path(path).exists(), (path, answer)
    for pattern in (tmp_path / "*", shared_tfserve.home / "*", servers / "*", servers / "files" / "*", "/etc/*"):
        assert client.match(pattern) == [], pattern


def test_model_writes_only_temporary_files(client: FilesClient, shared_tfserve: Program, model: Path) -> None:
    own = shared_tfserve.servers / "files"
    before = {path: path.read_bytes() for path in (own / "server.json", own / "lock")}
    log = (own / "server.log").read_bytes()
    for path in (
        *(model / "1" / "new", model / "3" / "new", model / "1" / "assets" / "asset.txt", model.parent / "new"),
        *(own / "new", own / "server.json", own / "server.log", own / "lock", own / "models" / "new"),
        *(own / "run" / "new", own.parent / "new" / "server.json", "/tmp/tfserve-new", "/dev/shm/new", "/etc/new"),
        *(shared_tfserve.home / ".bashrc", "/proc/self/comm", "/proc/self/oom_score_adj", "/proc/self/fd/1"),
        *(own / "tmp" / ".." / "new", "/var/tmp/new", "/root/new", "/run/new"),
    ):
        existed = Path(path).exists()
        assert DENIED in client.write(path), path
        assert Path(path).exists() == existed
    assert {path: path.read_bytes() for path in before} == before
    assert (own / "server.log").read_bytes().startswith(log)
    assert client.own() == "an asset"
    made = own / "tmp" / "directory" / "new"
    assert client.write(made) == "written"
    assert made.read_text() == "written"


def test_features_of_tensorflow(tfserve: Program, serving_models: Path, tmp_path: Path) -> None:
    """XLA, an asset with a vocabulary, LiteRT, warm-up, batching and metrics work."""
    lookup = tmp_path / "lookup"
    shutil.copytree(serving_models / "lookup", lookup)
    (lookup / "1" / "assets.extra").mkdir()
    (lookup / "1" / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"")
    paths = (serving_models / "zoo", serving_models / "lite", lookup)
    options = ("--name", "all", "--batching", "max_batch_size=8", "--monitoring", "on", "--no-smoke-test", "--json")
    done = tfserve("run", *paths, *options, *PORTS, "--", "--prefer_tflite_model=true")
    assert done.returncode == 0, done.stderr
    url = json.loads(done.stdout)["rest_url"]

    def predict(model: str, request: object) -> Any:
        return requests.post(f"{url}/v1/models/{model}:predict", json=request, timeout=60).json()

    assert predict("zoo", {"signature_name": "compiled", "inputs": [2.0]}) == {"outputs": [5.0]}
    assert predict("lookup", {"inputs": ["two", "four"]}) == {"outputs": [2, -1]}
    lite = {"serving_default_x": [[1.0, 2.0]], "serving_default_words": ["a"]}
    assert predict("lite", {"inputs": lite})["outputs"]["PartitionedCall:0"] == [[2.0, 4.0]]
    assert requests.get(f"{url}/monitoring/prometheus/metrics", timeout=60).status_code == 200
    log = (tfserve.servers / "all" / "server.log").read_text()
    assert "Finished reading warmup data" in log
    assert DENIED not in log


def test_privileges_of_root_are_given_up(shared_tfserve: Program, client: FilesClient) -> None:
    (server,) = (found for found in shared_tfserve.json("ps") if found["name"] == "files")
    status = dict(line.split(":", 1) for line in Path(f"/proc/{server['pid']}/status").read_text().splitlines())
    assert status["NoNewPrivs"].strip() == "1"
    allowed = 1 << 2 | 1 << 10  # CAP_DAC_READ_SEARCH, CAP_NET_BIND_SERVICE
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[name], 16) & ~allowed == 0, name


def test_sandbox_is_set_up_again(shared_tfserve: Program, client: FilesClient, tmp_path: Path) -> None:
    leftover = shared_tfserve.servers / "files" / "tmp" / "leftover"
    assert client.write(leftover) == "written"
    for command in ("stop", "start"):
        assert shared_tfserve(command, "files").returncode == 0
    assert client.own() == "an asset"
    assert DENIED in client.read("/etc/passwd")
    assert DENIED in client.write(tmp_path / "new")
    assert not leftover.exists()


def test_new_versions_are_served(tfserve: Program, files_model: Path, tmp_path: Path) -> None:
    """Also one that takes the place of a link, which leads to a SavedModel elsewhere."""
    base, elsewhere = tmp_path / "files", tmp_path / "releases"
    shutil.copytree(files_model / "1", elsewhere / "first")
    private = elsewhere / "first" / ".ssh" / "id_rsa"
    private.parent.mkdir()
    private.write_text("s3cret")
    base.mkdir()
    (base / "1").symlink_to("../releases/first")
    started = tfserve.json("run", base, *PORTS)
    client = FilesClient(started["rest_url"])
    assert client.own() == "an asset"
    assert DENIED in client.read("/etc/passwd")
    assert DENIED in client.read(private)
    assert client.match(private.with_name("*")) == []
    draft = base / "draft"
    shutil.copytree(files_model / "1", draft)
    (draft / "assets" / "asset.txt").write_text("newer")
    draft.rename(base / "2")
    eventually(lambda: client.own() == "newer")


def test_failure_to_load_names_the_option(tfserve: Program, copied: Copy, tmp_path: Path) -> None:
    model = copied("linked")
    variables = model / "1" / "variables" / "variables.data-00000-of-00001"
    shutil.move(variables, tmp_path / "elsewhere")
    variables.symlink_to(tmp_path / "elsewhere")
    assert_error(tfserve("run", model, *PORTS), 7, "it runs in a sandbox", "links", "--unsandboxed")


def test_failed_test_request_names_the_option(tfserve: Program, files_model: Path, tmp_path: Path) -> None:
    model = tmp_path / "files"
    shutil.copytree(files_model, model)
    asset = model / "1" / "assets" / "asset.txt"
    shutil.move(asset, tmp_path / "elsewhere")
    asset.symlink_to(tmp_path / "elsewhere")
    assert_error(tfserve("run", model, *PORTS), 7, "failed its smoke test", DENIED, "--unsandboxed")
    client = FilesClient(tfserve.json("run", model, "--unsandboxed", *PORTS)["rest_url"])
    assert client.own() == "an asset"
    assert client.write(tmp_path / "new") == "written"
    assert not (tfserve.servers / "files" / "tmp").exists()


def test_packages_beside_private_files(tfserve: Program, files_model: Path) -> None:
    """As with ``pip install --target ~/packages``: what is beside the packages stays private."""
    packages = tfserve.home / "packages"
    for package in ("orjson", "httptools", "google_crc32c"):
        for directory in Path(*importlib.import_module(package).__path__).parent.glob(f"{package}*"):
            if "-" not in directory.name:
                shutil.copytree(directory, packages / directory.name)
    secret = packages / "keys" / "secret"
    secret.parent.mkdir()
    secret.write_text("s3cret")
    done = tfserve("run", files_model, "--json", *PORTS, PYTHONPATH=f"{packages}:{os.environ.get('PYTHONPATH', '')}")
    assert done.returncode == 0, done.stderr
    client = FilesClient(json.loads(done.stdout)["rest_url"])
    assert client.own() == "an asset"
    assert str(packages / "orjson") in Path(f"/proc/{tfserve.json('status')['pid']}/maps").read_text()
    assert DENIED in client.read(secret)
    assert client.read(next((packages / "httptools").glob("*.py"))) != ""


def test_servers_that_start_together(tfserve: Program, files_model: Path, tmp_path: Path) -> None:
    servers = "\n".join(
        f"  {name}: {{models: [{{path: {files_model}, name: files}}], rest_port: 0, grpc_port: 0{more}}}"
        for name, more in (("a", ""), ("b", ""), ("c", ", unsandboxed: true"))
    )
    file = tmp_path / "tfserve.yaml"
    file.write_text(f"defaults: {{engine: local}}\nservers:\n{servers}\n")
    assert tfserve("up", "-f", file).returncode == 0
    clients = {found["name"]: FilesClient(found["rest_url"]) for found in tfserve.json("ps")}
    for name in ("a", "b"):
        assert clients[name].own() == "an asset"
        for path in ("/etc/passwd", tfserve.servers / "c" / "server.json", "/proc/self/environ"):
            assert DENIED in clients[name].read(path)
        other = "b" if name == "a" else "a"
        assert DENIED in clients[name].write(tfserve.servers / other / "tmp" / "new")
        assert clients[name].write(tfserve.servers / name / "tmp" / "new") == "written"
    assert "root" in clients["c"].read("/etc/passwd")


def test_added_model_is_copied(tfserve: Program, files_model: Path, half_plus_two: Path, tmp_path: Path) -> None:
    more = tmp_path / "more"
    shutil.copytree(files_model, more)
    started = tfserve.json("run", half_plus_two, "--versions", "latest", "--name", "prod", *PORTS)
    client = FilesClient(started["rest_url"], "more")
    added = tfserve("models", "prod", "add", more)
    assert added.returncode == 0, added.stderr
    assert "Copied into the running server: more. New versions will not be picked up automatically." in added.stderr
    assert client.own() == "an asset"
    assert DENIED in client.read(more / "1" / "assets" / "asset.txt")
    assert DENIED in client.read("/etc/passwd")
    assert tfserve("models", "prod", "remove", "more").returncode == 0
    assert tfserve("models", "prod", "add", more).returncode == 0
    inside = tfserve("models", "prod", "add", f"{half_plus_two}=again")
    assert (inside.returncode, inside.stderr) == (0, "")  # its sandbox is with this directory
    assert tfserve("restart", "prod").returncode == 0
    client = FilesClient(tfserve.json("status")["rest_url"], "more")
    assert client.own() == "an asset"
    assert client.read(more / "1" / "assets" / "asset.txt") == "an asset"
    assert (tfserve.servers / "prod" / "models" / "more").is_symlink()


def test_copies_do_not_follow_links_out_of_the_model(
    shared_tfserve: Program, client: FilesClient, model: Path, tmp_path: Path
) -> None:
    hostile = tmp_path / "hostile"
    shutil.copytree(model, hostile, symlinks=True)
    refused = shared_tfserve("models", "files", "add", hostile, "--versions", "1")
    assert_error(refused, 3, "is a link to", "outside of the model")
    assert [path.name for path in (shared_tfserve.servers / "files" / "models").iterdir()] == ["files"]
    assert [found["name"] for found in shared_tfserve.json("models", "files")] == ["files"]
