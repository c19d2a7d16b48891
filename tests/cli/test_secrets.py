"""A dry run sends and downloads nothing, and no output contains the value of a secret variable."""

from __future__ import annotations

import shlex
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.cli.conftest import in_process
from tests.engines.docker.hostile_engine import engine as engine_at
from tests.engines.docker.hostile_engine import http
from tests.file_server import FileServer, file_server
from tests.free_ports import free_ports
from tests.program import Program, assert_error
from tfserve.config.interpolation import variables_in
from tfserve.config.masking import masked
from tfserve.engines.docker.client import connect
from tfserve.plan.secrets import is_secret

VALUE = "hunter2"


@dataclass(frozen=True)
class Exporting(Program):
    """The program in a shell that has exported variables."""

    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, **self.variables}


def exporting(tfserve: Program, **variables: str) -> Program:
    return Exporting(tfserve.home, variables)


@pytest.fixture
def site(half_plus_two: Path, tmp_path: Path) -> Iterator[FileServer]:
    """Publishes a model at an address with a secret, and another one."""
    archive = tmp_path / "m.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(half_plus_two, "m")
    with file_server() as server:
        server.files = {f"/{VALUE}/m.tar.gz": archive.read_bytes(), "/m.tar.gz": archive.read_bytes()}
        yield server


@pytest.fixture
def file(site: FileServer, tmp_path: Path) -> Path:
    """A file of a stranger, who receives what the address contains."""
    file = tmp_path / "tfserve.yaml"
    server = "models: ['{url}/${{SECRET}}/m.tar.gz'], engine: {engine}, rest_port: 0, env: {{TOKEN: $SECRET, A: b}}"
    engines = "\n".join(f"  {name}: {{{server.format(url=site.url, engine=name)}}}" for name in ("local", "docker"))
    file.write_text(f"servers:\n{engines}\n")
    return file


def test_no_file_is_downloaded_to_show_it(tfserve: Program, site: FileServer, file: Path) -> None:
    for words in (("up", "--dry-run"), ("up", "--dry-run", "--json"), ("up", "--dry-run", "local")):
        done = exporting(tfserve, SECRET=VALUE)(*words, "-f", file)
        assert done.returncode == 0, done.stderr
        assert VALUE not in done.stdout + done.stderr
        assert f"{site.url}/${{SECRET}}/m.tar.gz" in done.stdout
        assert "TOKEN" in done.stderr
    for options in ((), ("--json",)):  # config resolves variables, but does nothing with them
        assert exporting(tfserve, SECRET=VALUE)("config", "-f", file, *options).returncode == 0
    assert site.requests == []
    assert not (tfserve.home / ".cache").exists()


def test_an_address_is_not_contacted_for_a_dry_run(tfserve: Program, site: FileServer) -> None:
    url = f"{site.url}/m.tar.gz"
    for engine in ("local", "docker"):
        done = tfserve("run", url, "--engine", engine, "--dry-run")
        assert done.returncode == 0, done.stderr
        assert url in done.stdout
        assert f"The model at {url} has not been downloaded" in done.stderr
    assert site.requests == []
    insecure = tfserve("run", "http://example.invalid/m.tar.gz", "--engine", "local", "--dry-run")
    assert_error(insecure, 2, "not encrypted")


def test_a_dry_run_uses_what_is_in_the_cache(tfserve: Program, site: FileServer, tmp_path: Path) -> None:
    url = f"{site.url}/m.tar.gz"
    assert tfserve("inspect", url).returncode == 0
    before = len(site.requests)
    done = tfserve("run", url, "--engine", "local", "--dry-run")
    (digest,) = (model["digest"] for model in tfserve.json("cache")["models"])
    assert f".cache/tfserve/models/{digest}/model" in done.stdout
    by_digest = tfserve("run", "https://example.invalid/m.zip", "--sha256", digest, "--engine", "local", "--dry-run")
    assert f".cache/tfserve/models/{digest}/model" in by_digest.stdout
    assert len(site.requests) == before


def test_up_reports_what_it_sends(tfserve: Program, site: FileServer, file: Path) -> None:
    done = exporting(tfserve, SECRET=VALUE)("up", "-f", file, "local")
    assert done.returncode == 0, done.stderr
    assert f"local: SECRET of your environment is sent to the host of {site.url}/${{SECRET}}/m.tar.gz" in done.stderr
    assert VALUE not in done.stdout + done.stderr
    assert [path for path, _, _ in site.requests][:1] == [f"/{VALUE}/m.tar.gz"]
    again = exporting(tfserve, SECRET=VALUE)("up", "-f", file, "local", "--dry-run")
    assert "leave" in again.stdout
    assert VALUE not in again.stdout + again.stderr


@pytest.mark.parametrize("engine", ["local", "docker"])
@pytest.mark.parametrize("name", ["SECRET", "API_KEY", "DB_PASSWORD"])
def test_a_secret_is_printed_as_a_reference(tfserve: Program, half_plus_two: Path, engine: str, name: str) -> None:
    rest, grpc = map(str, free_ports(2))
    variables = ("-e", f"{name}={VALUE}", "-e", "A=b")
    ports = ("--rest-port", rest, "--grpc-port", grpc)
    run = ("run", half_plus_two, "--engine", engine, "--dry-run", *ports, *variables)
    done = tfserve(*run)
    assert done.returncode == 0, done.stderr
    assert VALUE not in done.stdout + done.stderr
    assert f"The command reads {name} from the environment; export them first." in done.stderr
    words = shlex.split(done.stdout)
    assert {"docker": "--env=A=b", "local": "A=b"}[engine] in words
    assert (f"--env={name}" in words) is (engine == "docker")
    exported = exporting(tfserve, **{name: VALUE})(*run)
    assert exported.stdout == done.stdout
    assert name not in exported.stderr


def test_the_printed_line_passes_the_secret_on(tfserve: Program, half_plus_two: Path) -> None:
    printed = tfserve(
        "run", half_plus_two, "--engine", "local", "--dry-run", "-e", f"SECRET={VALUE}", "-e", "A=b"
    ).stdout
    before, _, command = printed.strip().partition("env A=b ")
    shown = subprocess.run(
        ["sh", "-c", f"{before}env A=b env # {command}"],
        env={**tfserve.environment, "SECRET": VALUE},
        capture_output=True,
    )
    assert {b"A=b", b"SECRET=hunter2"} <= set(shown.stdout.splitlines())


def test_a_record_with_a_secret_is_for_its_user_alone(tfserve: Program, half_plus_two: Path) -> None:
    options = ("--engine", "local", "--rest-port", "0", "-e", f"SECRET={VALUE}")
    done = tfserve("run", half_plus_two, *options, "--json")
    assert VALUE not in done.stdout + done.stderr
    holds = [
        path for path in tfserve.servers.rglob("*") if path.is_file() and VALUE in path.read_text(errors="replace")
    ]
    assert holds == [tfserve.servers / "half_plus_two" / "server.json"]
    assert holds[0].stat().st_mode & 0o777 == 0o600
    for words in (("status", "half_plus_two", "--json"), ("ps", "--json"), ("logs", "half_plus_two")):
        shown = tfserve(*words)
        assert VALUE not in shown.stdout + shown.stderr


@pytest.mark.parametrize("engine", ["local", "docker"])
def test_a_value_that_contains_a_secret_is_one(
    tfserve: Program, half_plus_two: Path, tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the variable is called: its value comes from one that is known as a secret."""
    file = tmp_path / "tfserve.yaml"
    file.write_text(
        f"servers: {{one: {{models: ['{half_plus_two}'], engine: {engine}, rest_port: 0, env: "
        "{A: '${AWS_SECRET_ACCESS_KEY}', B: 'x-${DBPASS}-y', C: plain}}}"
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "S3cr3t+1").touch()  # as an attacker could create it
    values = {"AWS_SECRET_ACCESS_KEY": "S3cr3t+1", "DBPASS": "S3cr3t+2"}
    for options in ((), ("--json",)):
        done = exporting(tfserve, **values)("up", "-f", file, "--dry-run", *options)
        assert done.returncode == 0, done.stderr
        assert "S3cr3t" not in done.stdout + done.stderr
        assert "C=plain" in done.stdout
        assert "The command reads A, B from the environment" in done.stderr


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("rest_port: '${TOKEN}'", "${TOKEN}"),
        ("rest_port: '${ANYTHING}'", "'${ANYTHING}' is not a port"),
        ("rest_port: '${NOPE:?my ${TOKEN}}'", "NOPE is not set: my ${TOKEN}"),
        ("restart: 'a-${TOKEN}'", "a-${TOKEN}"),
        ("models: ['/no/such/${TOKEN}']", "/no/such/${TOKEN}"),
        ("engine: docker, image: 'localhost:1/x:${TOKEN}'", "localhost:1/x:${TOKEN}"),
        ("server_flags: ['${ANYTHING}']", "'${ANYTHING}'"),
        ("batching: {max_batch_size: '${ANYTHING}'}", "${ANYTHING}"),
        ("models: [{path: /no/such, name: '${ANYTHING}', sha256: '${ANYTHING}'}]", "${ANYTHING}"),
        ("models: [{path: '${ANYTHING}/m', versions: '${ANYTHING}'}]", "${ANYTHING}"),
        ("gpus: '${ANYTHING}'", "'${ANYTHING}'"),
        ("memory: '${ANYTHING}'", "'${ANYTHING}'"),
        ("platform: 'a b/${ANYTHING}'", "${ANYTHING}"),
        ("config: '${TOKEN}.config'", "${TOKEN}.config"),
        ("smoke_test: '/${TOKEN}.json'", "/${TOKEN}.json"),
    ],
)
def test_errors_show_variables_as_the_file_has_them(
    tfserve: Program, half_plus_two: Path, tmp_path: Path, field: str, shown: str
) -> None:
    file = tmp_path / "tfserve.yaml"
    models = "" if "models:" in field or "config:" in field else f"models: ['{half_plus_two}'], "
    file.write_text(f"servers: {{one: {{{models}{field}}}}}")
    given = exporting(tfserve, TOKEN="S3cr3t'VALUE", ANYTHING="S3cr3tVALUE", DOCKER_HOST="unix:///no/such")
    done = in_process(given, "up", "-f", file, "--dry-run")
    assert "S3cr3t" not in done.stdout + done.stderr
    assert shown in done.stdout + done.stderr


def test_a_pull_shows_the_image_as_the_file_has_it(tfserve: Program, tmp_path: Path) -> None:
    file = tmp_path / "tfserve.yaml"
    file.write_text("servers: {one: {engine: docker, image: 'localhost:1/x:${GITHUB_TOKEN}'}}")
    refused = http(b'{"message": "cannot pull localhost:1/x:S3cr3tVALUE"}', status="500 Internal Server Error")
    connect.cache_clear()
    with engine_at(tmp_path, {"/images/create": refused}) as address:
        done = in_process(exporting(tfserve, GITHUB_TOKEN="S3cr3tVALUE", DOCKER_HOST=address), "up", "-f", file)
    connect.cache_clear()
    assert "one: Pulling localhost:1/x:${GITHUB_TOKEN}\n" in done.stderr
    assert "localhost:1/x:${GITHUB_TOKEN} could not be pulled" in done.stderr
    assert "S3cr3t" not in done.stdout + done.stderr


def test_a_part_of_a_secret_before_an_ellipsis_is_masked() -> None:
    values = {"TOKEN": "S3cr3tVALUE"}
    assert masked("'/a/S3cr3tV… cannot be read", values, ["TOKEN"]) == "'/a/${TOKEN} cannot be read"


def test_short_values_and_paths_are_not_masked(tfserve: Program, tmp_path: Path) -> None:
    file = tmp_path / "tfserve.yaml"
    file.write_text("servers: {one: {engine: local, models: ['${DIRECTORY}/m']}}")
    done = in_process(exporting(tfserve, DIRECTORY="/no/such"), "up", "-f", file)
    assert_error(done, 3, "There is no model at '/no/such/m'")


@pytest.mark.parametrize(
    "name",
    ["DBPASS", "MYPASS", "dbpass", "X_SEC", "APISEC", "DB_PASSWD", "MYSQL_PWD", "PGPWD", "APIPW", "DB_CREDS", "MYJWT"],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name, VALUE)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "north") for name in ("PATH", "COMPASS", "BYPASS", "MODE", "SECTOR", "SECONDS", "PASSIVE", "PASSES")),
        *(("TIMEOUT_SEC", value) for value in ("30", "0.5", "10s")),
        *((name, "/home/ada") for name in ("PWD", "OLDPWD")),
    ],
)
def test_names_of_other_variables(name: str, value: str) -> None:
    assert not is_secret(name, value)


def test_variables_in() -> None:
    assert variables_in("$A ${B} $$C $${D} $$$E ${F:-${G}}/${A}") == ["A", "B", "E", "F", "G"]
