"""Reading YAML files: the servers that they describe, and the errors in them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfserve.config.read import ConfiguredServer, choose, read_engines, read_servers
from tfserve.config.write import write_servers
from tfserve.errors import SavedModelError, TfserveError, UsageError
from tfserve.models.url import Url
from tfserve.protos.server_flags import SERVER_FLAGS_BY_NAME
from tfserve.spec.gpus import GpuRequest
from tfserve.spec.model import ModelSpec
from tfserve.spec.port_request import PortRequest
from tfserve.spec.serve import LaunchOptions, ServeSpec
from tfserve.spec.server_flags import SET_BY_TFSERVE
from tfserve.spec.versions import VersionPolicy

Read = Callable[..., tuple[ConfiguredServer, ...]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads a file with the given text or bytes."""

    def read(text: str | bytes, variables: Mapping[str, str] | None = None) -> tuple[ConfiguredServer, ...]:
        file = tmp_path / "servers.yaml"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return read_servers(file, variables or {})

    return read


@pytest.fixture
def server(read: Read) -> Callable[..., ConfiguredServer]:
    """Reads a server with the given fields besides its model."""

    def server(fields: str, variables: Mapping[str, str] | None = None) -> ConfiguredServer:
        lines = "".join(f"    {line}\n" for line in fields.splitlines())
        (found,) = read(f"servers:\n  prod:\n    models: [m]\n{lines}", variables)
        return found

    return server


def error_of(call: Callable[[], object]) -> TfserveError:
    with pytest.raises(TfserveError) as caught:
        call()
    assert caught.value.hint
    return caught.value


def test_minimal_server(read: Read, tmp_path: Path) -> None:
    (found,) = read("servers:\n  prod:\n    models: [m]\n")
    assert found == ConfiguredServer(
        ServeSpec("prod", (ModelSpec(tmp_path / "m", "prod"),)), LaunchOptions(), found.line
    )


EVERYTHING = """
servers:
  prod:
    models:
      - {path: ./a, versions: [3, 1], labels: {stable: 1}, name: x}
      - {path: /b, versions: latest=2, name: y}
      - {path: c, versions: all, name: z}
    engine: docker
    image: my/serving
    tag: 2.10
    platform: linux/amd64
    pull: never
    rest_port: 9001
    grpc_port: none
    host: localhost
    gpu: false
    env: [A=1, B]
    memory: 2g
    cpus: 1.5
    restart: no
    batching: {max_batch_size: 8, allowed_batch_sizes: [4, 8], pad_variable_length_inputs: true}
    monitoring: {path: /metrics}
    server_flags: {enable_model_warmup: false, ssl_config_file: ssl.txt, mixed_precision: bfloat16}
    wait: 7.5
    smoke_test: request.json
    keep_failed: true
"""
"""Every field once."""


def test_everything(read: Read, tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text('{"instances": [1]}')
    (found,) = read(EVERYTHING, {"B": "2"})
    assert found.spec == ServeSpec(
        name="prod",
        models=(
            ModelSpec(tmp_path / "a", "x", VersionPolicy(1, (1, 3)), {"stable": 1}),
            ModelSpec(Path("/b"), "y", VersionPolicy(2)),
            ModelSpec(tmp_path / "c", "z", VersionPolicy(None)),
        ),
        image="my/serving",
        tag="2.10",  # the text as written
        platform="linux/amd64",
        host="127.0.0.1",
        rest_port=PortRequest(9001, explicit=True),
        grpc_port=PortRequest(None, explicit=True),
        environment={"A": "1", "B": "2"},
        memory=2 << 30,
        cpus=1.5,
        restart="no",
        gpu=False,
        batching={"max_batch_size": 8, "allowed_batch_sizes": (4, 8), "pad_variable_length_inputs": True},
        monitoring="/metrics",
        server_flags=(
            "--enable_model_warmup=false",
            f"--ssl_config_file={tmp_path / 'ssl.txt'}",
            "--mixed_precision=bfloat16",
        ),
    )
    assert found.options == LaunchOptions(
        engine="docker", pull="never", wait_seconds=7.5, smoke_test=str(tmp_path / "request.json"), keep_failed=True
    )


def test_model_sources(read: Read, tmp_path: Path) -> None:
    (tmp_path / "packed.tar.gz").touch()
    (found,) = read(
        """
servers:
  prod:
    models:
      - packed.tar.gz
      - {path: "https://host/a.zip?token=$$1", sha256: SHA}
      - {path: "gs://bucket/m", labels: {stable: 1}}
      - {path: "s3://bucket/m", name: other}
""".replace("SHA", "0" * 64)
    )
    assert found.spec.models == (
        ModelSpec(tmp_path / "packed.tar.gz", "packed"),
        ModelSpec(Url("https://host/a.zip?token=$1"), "a", sha256="0" * 64),
        ModelSpec(Url("gs://bucket/m"), "m", labels={"stable": 1}),
        ModelSpec(Url("s3://bucket/m"), "other"),
    )
    (tmp_path / "servers.yaml").write_text(write_servers([found]))
    (again,) = read_servers(tmp_path / "servers.yaml", {})
    assert again.spec == found.spec


def test_paths_are_normalized(read: Read, tmp_path: Path) -> None:
    (found,) = read("servers: {a: {models: [{path: ../x/./m, name: m}]}}")
    assert found.spec.models[0].path == tmp_path.parent / "x" / "m"


def test_packaged_models(read: Read) -> None:
    (found,) = read("servers: {prod: {image: 'me/m:1'}}")
    assert (found.spec.models, found.spec.image) == ((), "me/m:1")
    (again,) = read(write_servers([found]))
    assert again.spec == found.spec


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all", GpuRequest()),
        ("2", GpuRequest(2)),
        ("0,2", GpuRequest(devices=("0", "2"))),
        ("[1]", GpuRequest(devices=("1",))),
        ("[GPU-a, MIG-b]", GpuRequest(devices=("GPU-a", "MIG-b"))),
    ],
)
def test_gpus(server: Callable[..., ConfiguredServer], text: str, expected: GpuRequest) -> None:
    assert server(f"gpus: {text}").spec.gpus == expected


def test_users_own_models_config(read: Read, half_plus_two: Path, tmp_path: Path) -> None:
    file = tmp_path / "models.config"
    file.write_text(
        f'model_config_list {{ config {{ name: "m" base_path: "{half_plus_two}" model_platform: "tensorflow" }} }}'
    )
    (found,) = read("servers: {prod: {config: models.config}}")
    assert (found.spec.config, found.spec.models) == (file, (ModelSpec(half_plus_two, "m", VersionPolicy()),))
    file.write_text("model_config_list {")
    error = error_of(lambda: read("servers: {prod: {config: models.config}}"))
    assert "servers.yaml, line 1, servers.prod.config: " in error.message
    assert "models.config', line 1, column 19" in error.message


def test_defaults_anchors_and_merges(read: Read) -> None:
    first, second = read(
        """
x-shared: &shared {memory: 1g, cpus: 2}
defaults:
  wait: 5
  env: {A: 1, B: 1}
  server_flags: {num_load_threads: 1, num_unload_threads: 1}
servers:
  one:
    models: &models [{path: m, name: m}]
    <<: *shared
  two:
    <<: [*shared, {cpus: 9, tag: x}]
    models: *models
    memory: 3g
    env: {B: 2}
    wait: 6
    server_flags: {num_load_threads: 2}
"""
    )
    assert (first.spec.memory, first.spec.cpus, first.options.wait_seconds) == (1 << 30, 2, 5)
    assert (second.spec.memory, second.spec.cpus, second.spec.tag, second.options.wait_seconds) == (3 << 30, 2, "x", 6)
    assert (first.spec.environment, second.spec.environment) == ({"A": "1", "B": "1"}, {"A": "1", "B": "2"})
    assert second.spec.server_flags == ("--num_unload_threads=1", "--num_load_threads=2")
    assert first.spec.models == second.spec.models


def test_variables(server: Callable[..., ConfiguredServer]) -> None:
    fields = 'rest_port: ${PORT}\ngpu: ${GPU:-false}\nenv: {PRICE: "$$5", NAME: "${NAME:-a: b}", PASSED: }\ntag: v$TAG'
    spec = server(fields, {"PORT": "9000", "PASSED": "$x", "TAG": "1"}).spec
    assert (spec.rest_port, spec.gpu, spec.tag) == (PortRequest(9000, explicit=True), False, "v1")
    assert spec.environment == {"PRICE": "$5", "NAME": "a: b", "PASSED": "$x"}


def test_features_that_are_on_or_off(server: Callable[..., ConfiguredServer]) -> None:
    on = server("batching: true\nmonitoring: true\nsmoke_test: false")
    assert (on.spec.batching, on.spec.monitoring) == ({}, "/monitoring/prometheus/metrics")
    assert not on.options.smoke_test
    off = server("batching: false\nmonitoring: false\nsmoke_test: true")
    assert (off.spec.batching, off.spec.monitoring, off.options) == (None, None, LaunchOptions())


@pytest.mark.parametrize(
    ("fields", "line", "path", "words"),
    [
        ("rest_prot: 1", 4, "rest_prot", "There is no field 'rest_prot'"),
        ("gpu: true\ngpu: false", 5, "gpu", "The key is also in line 4"),
        ("rest_port: http", 4, "rest_port", "'http' is not a port"),
        ("rest_port: 70000", 4, "rest_port", "'70000' is not a port"),
        ("rest_port: [1]", 4, "rest_port", "Expected a port number or none for rest_port, found a list"),
        ("rest_port:", 4, "rest_port", "Expected a port number or none for rest_port, found nothing"),
        ("grpc_port: {a: 1}", 4, "grpc_port", "Expected a port number or none for grpc_port, found a mapping"),
        ("engine: podman", 4, "engine", "Expected one of auto, docker, local for engine, found 'podman'"),
        ("pull: 1", 4, "pull", "Expected one of missing, always, never for pull, found '1'"),
        ("image: []", 4, "image", "Expected text"),
        ("image: -1", 4, "image", "'-1' is not the name of an image"),
        ('image: ""', 4, "image", "'' is not the name of an image"),
        ("tag: a/b", 4, "tag", "'a/b' is not a tag"),
        ("image: a:1\ntag: b", 5, "tag", "'a:1' already includes a tag or digest"),
        ("platform: amd64", 4, "platform", "'amd64' is not a platform"),
        ("host: example.com", 4, "host", "is not an IP address"),
        ("gpu: yes", 4, "gpu", "Expected true or false for gpu, found 'yes'"),
        ('gpu: "true"', 4, "gpu", "Expected true or false for gpu, found 'true'"),
        ("gpus: both", 4, "gpus", "'both' is not a valid selection of GPUs"),
        ("gpus: []", 4, "gpus", "is not a valid selection of GPUs"),
        ("gpus: {a: 1}", 4, "gpus", "Expected all, a number of GPUs, or a list of GPUs for gpus, found a mapping"),
        ("gpu: false\ngpus: 1", 5, "gpus", "gpu: false cannot be combined with gpus"),
        ("gpu_memory_fraction: 2", 4, "gpu_memory_fraction", "2 is not a valid share"),
        ("env: A", 4, "env", "Expected a mapping of variables, or a list of NAME=VALUE for env, found 'A'"),
        ("env: {A b: 1}", 4, "env.A b", "is not the name of a variable"),
        ("env: [A]", 4, "env[0]", "The variable A is not set"),
        ("env:\n  A: [1]", 5, "env.A", "Expected text"),
        ("env: {MODEL_NAME: x}", 4, "env.MODEL_NAME", "is set by tfserve"),
        ("memory: much", 4, "memory", "is not an amount of memory"),
        ("cpus: two", 4, "cpus", "Expected a number for cpus, found 'two'"),
        ("cpus: -1", 4, "cpus", "-1 is not a valid number of CPUs"),
        ("restart: sometimes", 4, "restart", "is not a restart policy"),
        ("rm: true\nrestart: always", 4, "rm", "rm cannot be combined with restart"),
        ("batching: 1", 4, "batching", "Expected true, false, or a mapping of parameters for batching, found '1'"),
        ("batching: {max_bacth_size: 1}", 4, "batching.max_bacth_size", "There is no field"),
        ("batching:\n  max_batch_size: x", 5, "batching.max_batch_size", "is not a value of type integer"),
        (
            "batching: {max_batch_size: 9, allowed_batch_sizes: [4]}",
            4,
            "batching.allowed_batch_sizes",
            "The last size in",
        ),
        (
            "batching: true\nserver_flags: {enable_batching: true}",
            5,
            "server_flags.enable_batching",
            "--enable_batching cannot be combined with batching",
        ),
        (
            "monitoring: off",
            4,
            "monitoring",
            "Expected true, false, or a URL path for monitoring, found 'off'",
        ),
        ("monitoring: {path: x}", 4, "monitoring.path", "is not a URL path for the metrics"),
        ("monitoring: {port: 1}", 4, "monitoring.port", "There is no field"),
        ("server_flags: [a]", 4, "server_flags[0]", "'a' is not a server flag"),
        ("server_flags:\n  enable_bacthing: true", 5, "server_flags.enable_bacthing", "has no flag --enable_bacthing"),
        ("server_flags: {num_load_threads: x}", 4, "server_flags.num_load_threads", "of type int32"),
        ("server_flags: {port: 1}", 4, "server_flags.port", "is set by tfserve"),
        ("wait: -1", 4, "wait", "Expected 0 or more seconds for wait, found -1"),
        ("wait: .nan", 4, "wait", "Expected a number for wait, found '.nan'"),
        (
            "smoke_test: []",
            4,
            "smoke_test",
            "Expected true, false, a request as JSON, or the path of a file for smoke_test, found a list",
        ),
        ("config: x", 4, "config", "config and models cannot be combined"),
        ("rest_port: 1\ngrpc_port: 1", 5, "grpc_port", "cannot share port 1"),
        ("? [a]\n: b", 4, "", "A key has to be text"),
        ("null: x", 4, "", "A key has to be text"),
        ("env: {~: x}", 4, "env", "A key has to be text"),
        ("tag: ${NO}", 4, "tag", "The variable NO is not set"),
        ("tag: ${NO:?say which}", 4, "tag", "The variable NO is not set: say which"),
        ("tag: $", 4, "tag", "'$' does not begin a variable"),
        ("<<: x", 4, "<<", "Expected a mapping to merge, found 'x'"),
    ],
)
def test_wrong_fields(server: Callable[..., ConfiguredServer], fields: str, line: int, path: str, words: str) -> None:
    error = error_of(lambda: server(fields))
    assert isinstance(error, UsageError)
    place = f"servers.yaml, line {line}, servers.prod{'.' if path else ''}{path}: "
    assert place in error.message, error.message
    assert error.message.count("servers.yaml") == 1
    assert words in error.message


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("gpu: false\ngpus: 1", "gpu: false cannot be combined with gpus."),
        ("gpu: false\ngpu_memory_growth: true", "gpu: false cannot be combined with gpu_memory_growth."),
        ("rest_port: 1\ngrpc_port: 1", "Use different numbers for rest_port and grpc_port."),
        ("rest_port: none\ngrpc_port: none", "Set rest_port or grpc_port to a number."),
        (
            "batching: true\nserver_flags: {batching_parameters_file: a}",
            "--batching_parameters_file cannot be combined with batching",
        ),
        ("smoke_test: '{}'\nwait: 0", "Leave smoke_test out, or wait for the server"),
        ("server_flags: {bind_address: x}", "Use host instead."),
        ("env: [A]", "or give its value: A=VALUE"),
        ("env: {MODEL_NAME: m}", "tfserve derives it from the model."),
        ("models: [{path: s3://bucket/m, name: m, sha256: '" + "0" * 64 + "'}]", "Leave sha256 out."),
        ("image: a:1\ntag: b", "Leave tag out, or give the image without a tag."),
    ],
)
def test_errors_use_the_names_of_the_file(read: Read, fields: str, words: str) -> None:
    models = "" if fields.startswith("models") else "models: [m]\n"
    lines = "".join(f"    {line}\n" for line in (models + fields).splitlines())
    error = error_of(lambda: read(f"servers:\n  prod:\n{lines}"))
    assert words in f"{error.message} {error.hint}"
    for option in (word.strip(".,") for word in f"{error.message} {error.hint}".split() if word.startswith("--")):
        assert option[2:] in {
            *SERVER_FLAGS_BY_NAME,
            *SET_BY_TFSERVE,
        }  # server flags have the same names in every front end


def test_errors_quote_users_unchanged(server: Callable[..., ConfiguredServer]) -> None:
    assert error_of(lambda: server("server_flags: {image: x}")).message.endswith("has no flag --image.")
    assert "'--gpu --no-gpu'" in error_of(lambda: server("host: --gpu --no-gpu")).message


def test_suggestions(server: Callable[..., ConfiguredServer]) -> None:
    assert error_of(lambda: server("rest_prot: 1")).hint == "Did you mean rest_port?"
    assert error_of(lambda: server("batching: {max_bacth_size: 1}")).hint == "Did you mean max_batch_size?"
    assert "--enable_batching" in str(error_of(lambda: server("server_flags: {enable_bacthing: 1}")).hint)
    assert "The valid fields are: " in str(error_of(lambda: server("zzz: 1")).hint)
    assert error_of(lambda: server("engine: dockr")).hint == "Did you mean docker?"
    assert error_of(lambda: server("gpu: Ture")).hint == "Did you mean true?"
    assert error_of(lambda: server("gpu: yes")).hint == "For example: gpu: true"
    assert "schema" in str(error_of(lambda: server("env: 1")).hint)


@pytest.mark.parametrize(
    ("models", "place", "words"),
    [
        ("m", "models", "Expected a list of models, found 'm'"),
        ("[]", "models", "The list of models is empty"),
        ("[[a]]", "models[0]", "Expected a path, or a mapping with the fields of a model, found a list"),
        ("[{name: a}]", "models[0]", "The field path is missing"),
        ("[{path: a, nam: b}]", "models[0].nam", "There is no field 'nam'"),
        ("[{path: a, name: b/c}]", "models[0].name", "'b/c' is not a model name"),
        ("[{path: a, name: [b]}]", "models[0].name", "Expected a model name, found a list"),
        ("[{path: a, name: b, versions: some}]", "models[0].versions", "is not a valid choice of versions"),
        ("[{path: a, name: b, versions: [x]}]", "models[0].versions[0]", "Expected a version number"),
        ("[{path: a, name: b, versions: []}]", "models[0].versions", "is not a valid choice of versions"),
        ("[{path: a, name: b, labels: {x: y}}]", "models[0].labels.x", "Expected a version number, found 'y'"),
        ("[{path: a, name: b, labels: {a b: 1}}]", "models[0].labels.a b", "is not a label of a version"),
        (
            "[{path: a, name: b, labels: [x]}]",
            "models[0].labels",
            "Expected a mapping of labels to version numbers, found a list",
        ),
        ("[{path: a, name: b}, {path: c, name: b}]", "models[1].name", "Two models are named 'b'"),
        ("[{path: a, name: b, sha256: yes}]", "models[0].sha256", "'yes' is not a SHA-256 digest"),
        ("[{path: '', name: b}]", "models[0].path", "The path of the model is empty"),
        ("['']", "models[0]", "The path of the model is empty"),
        ("[{path: a, name: ''}]", "models[0].name", "A model name cannot be empty"),
        ("[a, b]", "models[0]", "There is no model at"),
        ("[ftp://a/b]", "models[0]", "tfserve cannot read models from ftp:// addresses"),
        ("[{path: s3://, name: m}]", "models[0].path", "not a path in a bucket"),
        (
            f"[{{path: s3://bucket/m, sha256: {'0' * 64}}}]",
            "models[0].sha256",
            "is not an archive, so it has no digest",
        ),
    ],
)
def test_wrong_models(read: Read, models: str, place: str, words: str) -> None:
    error = error_of(lambda: read(f"servers:\n  prod:\n    models: {models}\n"))
    assert f"line 3, servers.prod{'.' if place else ''}{place}: " in error.message, error.message
    assert words in error.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "is empty"),
        (b"# nothing\n", "is empty"),
        (b"a: \xff", "line 1: The text is not UTF-8"),
        (b"a: 1\nb: \x00", "line 2: a character that YAML does not allow"),
        (b"servers:\n\tprod: 1", "line 2, column 1: found character '\\t' that cannot start any token"),
        (b"servers: {", "line 1, column 11"),
        (b"a: 1\n---\nb: 2", "line 2, column 1: expected a single document in the stream, but found another document"),
        (b"a: *nope", "found undefined alias"),
        (b"[" * 500, "nested too deeply"),
        (b"servers: !!python/object/apply:os.system [id]", "Expected a mapping of servers by name, found a list"),
        (b"just text", "line 1: Expected a mapping with the keys servers and defaults, found 'just text'"),
        (b"[]", "line 1: Expected a mapping with the keys servers and defaults, found a list"),
        (b"defaults: {}", "line 1: The field servers is missing"),
        (b"server: {}", "line 1, server: There is no field 'server'"),
        (b"servers: {}", "line 1, servers: The mapping of servers is empty"),
        (b"servers:", "line 1, servers: Expected a mapping of servers by name, found nothing"),
        (b"servers:\n  a:", "line 2, servers.a: Expected a mapping with the fields of a server, found nothing"),
        (b"servers:\n  a: {}", "line 2, servers.a: The field models is missing"),
        (b"servers:\n  a b: {models: [m]}", "line 2, servers.a b: 'a b' is not a server name"),
        (b"servers:\n  a: {models: [m]}\n  a: {models: [m]}", "line 3, servers.a: The key is also in line 2"),
        (b"defaults: {models: [m]}\nservers: {a: {models: [m]}}", "line 1, defaults.models: There is no field"),
        (b"servers: &s {a: *s}", "There is no field 'a'"),
        (b"servers: {a: &a {<<: *a, models: [m]}}", "It is nested too deeply"),
        (b"x" * (300 << 10), "larger than 256 KiB"),
    ],
)
def test_invalid_files(read: Read, text: bytes, words: str) -> None:
    error = error_of(lambda: read(text))
    assert isinstance(error, UsageError)
    assert words in error.message, error.message
    assert "servers.yaml" in error.message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("servers: *nope", "Define the anchor"),
        ("a: &a 1\nb: &a 2", "Give each anchor"),
        ("a: 1\n---\nb: 2", "Remove the line ---"),
        ("servers:\n\ta: 1", "with spaces, not tabs"),
        ("servers: @x", "Quote text that begins with"),
        ("servers: {", "brackets and quotes are closed"),
        ("servers:\n  a: 1\n b: 2", "Check the indentation"),
        ("servers: {a b: {models: [m]}}", "Choose another name, for example a_b"),
        ("servers: {a: {models: [{path: m, name: a b}]}}", "Choose another name, for example name: a_b"),
    ],
)
def test_hints(read: Read, text: str, hint: str) -> None:
    assert hint in str(error_of(lambda: read(text)).hint)


def test_a_billion_laughs(read: Read) -> None:
    lines = ["a0: &a0 {cpus: 1}"] + [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 12)]
    text = "".join(f"x-{line}\n" for line in lines) + "servers: {a: {<<: *a11, models: [m]}}"
    assert "too large once its aliases" in error_of(lambda: read(text)).message


def test_missing_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, words in (("none", "none does not exist"), (".", "is not a file"), ("pipe", "is not a file")):
        assert words in error_of(lambda: read_servers(tmp_path / name, {})).message  # noqa: B023


def test_port_of_two_servers(read: Read) -> None:
    def two(first: str, second: str) -> str:
        return f"servers:\n  a: {{models: [m], {first}}}\n  b: {{models: [m], {second}}}"

    error = error_of(lambda: read(two("rest_port: 9000", "grpc_port: 9000, host: 0.0.0.0")))
    assert "line 3, servers.b.grpc_port: Port 9000 is already used by 'a' in line 2" in error.message
    for second in ("rest_port: 9001", "rest_port: 0", "rest_port: none", "rest_port: 9000, host: 127.0.0.2"):
        assert len(read(two("rest_port: 9000", second))) == 2


def test_engines_of_an_invalid_file(tmp_path: Path) -> None:
    file = tmp_path / "servers.yaml"
    one = "servers:\n  a: {engine: docker, tag: $NO, x: 1}\n  b: {engine: $NO}\n  c:\n  d: {engine: podman}\n"
    file.write_text(one + "default: {}")
    assert read_engines(file, {}) == {"a": "docker", "b": "auto", "c": "auto", "d": "auto"}
    file.write_text(one + "defaults: {engine: $E, env: [A]}")
    assert read_engines(file, {"E": "local"}) == {"a": "docker", "b": "local", "c": "local", "d": "local"}
    file.write_text("defaults: {engine: local}\nservers: {a: {rm: true, rm: true}, b: {<<: 3, engine: docker}, c: [1]}")
    assert read_engines(file, {}) == {"a": "local", "b": "local", "c": "local"}
    file.write_text("defaults: {<<: 3}\nservers: {a: {engine: docker}, b: }")
    assert read_engines(file, {}) == {"a": "docker", "b": "auto"}


def test_choose(read: Read) -> None:
    servers = read("servers: {a: {models: [m]}, b: {models: [m]}}")
    assert choose(servers, ()) == servers
    assert [server.spec.name for server in choose(servers, ["b"])] == ["b"]
    with pytest.raises(UsageError, match="does not describe a server named 'c'"):
        choose(servers, ["b", "c"])


def test_round_trip(server: Callable[..., ConfiguredServer], tmp_path: Path) -> None:
    for fields in (
        "",
        "rest_port: 0\ngrpc_port: none\nmemory: 1g\ncpus: 0.5\nrestart: no\nhost: '::1'\ntag: '2.10'\ngpu: true",
        'env: {A: "${B}", C: "yes", D: "1", E: "a\\nb"}\nsmoke_test: \'{"instances": ["$$"]}\'\nwait: 1\nrm: true',
        "gpus: [0, 2]\ngpu_memory_fraction: 0.3\ngpu_memory_growth: true",
        "batching: true\nmonitoring: true\nsmoke_test: false\nkeep_failed: true\nengine: local\npull: always",
        "batching: {allowed_batch_sizes: [2, 1000], thread_pool_name: t}\nserver_flags: {ssl_config_file: a$$b}",
    ):
        written = server(fields, {"B": "$b $$"})
        file = tmp_path / "again.yaml"
        file.write_text(write_servers([written]))
        (again,) = read_servers(file, {})
        assert (again.spec, again.options) == (written.spec, written.options)


WORDS = ["servers", "defaults", "models", "env", "<<", "gpu", "m", "1", "true", "${A}", "*a", "&a", "!!x", "batching"]
MARKS = [": ", "- ", "? ", "\n", "\n  ", "\n    ", "{", "}", "[", "]", ",", "'", '"', "|", "#", "%", "\t", "x-"]
FRAGMENTS = st.sampled_from([*WORDS, *MARKS])


@given(st.binary(max_size=60) | st.lists(FRAGMENTS, max_size=30).map("".join).map(str.encode))
def test_any_text(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    for content in (text, b"servers:\n  a:\n    models: [m]\n    " + text):
        file.write_bytes(content)
        try:
            assert read_servers(file, {})
        except (UsageError, SavedModelError) as error:
            assert "fuzz.yaml" in error.message or "model" in error.message


VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)


@given(st.data())
def test_any_value_of_any_field(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    import yaml

    from tfserve.spec.fields import FIELDS

    name = data.draw(st.sampled_from(["models", *(field.name for field in FIELDS)]))
    file = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    file.write_text(yaml.safe_dump({"servers": {"a": {"models": ["m"], name: data.draw(VALUES)}}}))
    try:
        assert read_servers(file, {})
    except (UsageError, SavedModelError) as error:
        assert "fuzz.yaml, line " in error.message


def test_a_value_that_cannot_be_encoded(server: Callable[..., ConfiguredServer]) -> None:
    error = error_of(lambda: server('env: {A: "\\uD800"}'))
    assert "servers.prod.env.A: The value of A contains text that cannot be encoded." in error.message
