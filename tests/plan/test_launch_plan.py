from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfserve import __version__
from tfserve.engines.local.limits import refuse_container_options
from tfserve.errors import GpuError, SavedModelError, UsageError
from tfserve.exporters.docker_run import docker_run
from tfserve.exporters.process import process_line
from tfserve.models.bucket_credentials import BucketCredentials
from tfserve.models.saved_model import Layout, ModelDirectory, ModelVersion
from tfserve.models.url import Url
from tfserve.plan import launch_plan as plan
from tfserve.plan.container import container_plan
from tfserve.plan.engine_facts import EngineFacts
from tfserve.plan.launch_plan import Binary, HostPorts, LaunchPlan, Mount, PublishedPort, Sandbox
from tfserve.plan.process import FILES_WITHOUT_EFFECT, process_plan
from tfserve.spec.gpus import GpuRequest
from tfserve.spec.model import ModelSpec
from tfserve.spec.port_request import PortRequest
from tfserve.spec.serve import ServeSpec
from tfserve.spec.versions import VersionPolicy

OWN = Binary(("python", "-m", "tfserve.model_server"), official=False)
OFFICIAL = Binary(("/usr/bin/tensorflow_model_server",), official=True)
WITH_NVIDIA = EngineFacts(runtimes=frozenset({"runc", "nvidia"}))
BASE = ModelDirectory(Path("/data/m"), Layout.BASE_PATH, (ModelVersion(3, Path("/data/m/3")),), "m")


def spec(**changes: Any) -> ServeSpec:
    return ServeSpec(**{"name": "prod", "models": (ModelSpec(Path("/data/m"), "m"),), **changes})


def container(directory: ModelDirectory = BASE, requested: ServeSpec | None = None, **facts: Any) -> LaunchPlan:
    settings = {"ports": HostPorts(8501, 8500), "engine": EngineFacts(), **facts}
    return container_plan(requested or spec(), [directory], **settings)


def process(requested: ServeSpec | None = None, directory: ModelDirectory = BASE, **facts: Any) -> LaunchPlan:
    settings = {"ports": HostPorts(8501, None), "binary": OWN, "root": Path("/state/prod"), **facts}
    return process_plan(requested or spec(), [directory], **settings)


def test_container_plan() -> None:
    assert container(user=(1000, 100)) == LaunchPlan(
        name="prod",
        models=("m",),
        mounts=(Mount("/data/m", "/models/m"),),
        rest=PublishedPort(8501, "127.0.0.1", 8501),
        grpc=PublishedPort(8500, "127.0.0.1", 8500),
        environment={"MODEL_NAME": "m", "MODEL_BASE_PATH": "/models"},
        command=(),
        labels={
            "tfserve.name": "prod",
            "tfserve.models": '["m"]',
            "tfserve.gpu": "false",
            "tfserve.spec": '{"name": "prod", "models": [{"path": "/data/m", "name": "m"}]}',
            "tfserve.version": __version__,
        },
        image="tensorflow/serving:latest",
        user="1000:100",
        init=True,
        dropped_capabilities=("ALL",),
        security_options=("no-new-privileges",),
    )


def test_values_of_the_spec() -> None:
    requested = spec(
        image="my/serving",
        tag="7",
        platform="linux/amd64",
        host="0.0.0.0",
        environment={"TF_CPP_MIN_LOG_LEVEL": "1"},
        memory=2**30,
        cpus=1.5,
        restart="always",
        server_flags=("--enable_batching=true",),
    )
    made = container(requested=requested, ports=HostPorts(9001, None))
    assert (made.image, made.platform) == ("my/serving:7", "linux/amd64")
    assert (made.rest, made.grpc) == (PublishedPort(8501, "0.0.0.0", 9001), None)
    assert made.environment["TF_CPP_MIN_LOG_LEVEL"] == "1"
    assert (made.memory, made.cpus, made.restart, made.remove) == (2**30, 1.5, "always", False)
    assert made.command == ("--enable_batching=true",)
    assert container(requested=spec(remove=True)).remove


@pytest.mark.parametrize(
    ("layout", "path", "number", "target"),
    [
        (Layout.VERSION, "/data/m/7", 7, "/models/m/7"),
        (Layout.VERSION, "/data/m/007", 7, "/models/m/007"),
        (Layout.BARE, "/data/bare", 1, "/models/m/1"),
    ],
)
def test_mounts_of_layouts(layout: Layout, path: str, number: int, target: str) -> None:
    directory = ModelDirectory(Path(path), layout, (ModelVersion(number, Path(path)),), "m")
    assert container(directory).mounts == (Mount(path, target),)
    (mount,) = process(directory=directory).mounts
    assert mount == Mount(path, target.replace("/models", "/state/prod/models"))


def test_version_that_links_outside_the_mount() -> None:
    directory = replace(BASE, versions=(ModelVersion(3, Path("/elsewhere/3")),))
    with pytest.raises(SavedModelError, match="is a link to '/elsewhere/3'"):
        container(directory)
    assert process(directory=directory).mounts


@pytest.mark.parametrize(
    ("facts", "gpu", "expected"),
    [
        (EngineFacts(), False, {"user": "1:2", "gpu": False, "runtime": None, "gpus": None}),
        (EngineFacts(rootless=True), False, {"user": None}),
        (EngineFacts(selinux=True), False, {"security_options": ("no-new-privileges", "label=disable")}),
        (EngineFacts(), True, {"gpu": True, "runtime": None, "gpus": "all", "image": "tensorflow/serving:latest-gpu"}),
        (WITH_NVIDIA, True, {"runtime": "nvidia", "gpus": None}),
        (WITH_NVIDIA, False, {"runtime": None, "gpus": None}),
    ],
)
def test_engine_facts(facts: EngineFacts, gpu: bool, expected: dict[str, object]) -> None:
    made = container(engine=facts, gpu=gpu, user=(1, 2))
    assert {name: getattr(made, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("request_", "visible", "option"),
    [
        (None, "all", "all"),
        (GpuRequest(), "all", "all"),
        (GpuRequest(count=2), "0,1", "2"),
        (GpuRequest(devices=("0", "2")), "0,2", "device=0,2"),
        (GpuRequest(devices=("GPU-1",)), "GPU-1", "device=GPU-1"),
    ],
)
def test_selected_gpus(request_: GpuRequest | None, visible: str, option: str) -> None:
    requested = spec(gpus=request_)
    by_runtime = container(requested=requested, engine=WITH_NVIDIA, gpu=True)
    assert by_runtime.environment["NVIDIA_VISIBLE_DEVICES"] == visible
    assert by_runtime.environment["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"
    by_request = container(requested=requested, gpu=True)
    assert by_request.gpus == option
    assert not any(name.startswith("NVIDIA") for name in by_request.environment)
    assert not any(name.startswith("NVIDIA") for name in container(engine=WITH_NVIDIA).environment)


def test_gpu_memory() -> None:
    requested = spec(gpu_memory_fraction=0.25, gpu_memory_growth=True, server_flags=("--enable_batching",))
    made = container(requested=requested, gpu=True)
    assert made.command == ("--per_process_gpu_memory_fraction=0.25", "--enable_batching")
    assert made.environment["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    assert json.loads(made.labels["tfserve.spec"])["gpu_memory_fraction"] == 0.25


def test_user_variables_take_precedence() -> None:
    requested = spec(environment={"NVIDIA_VISIBLE_DEVICES": "1"})
    assert container(requested=requested, engine=WITH_NVIDIA, gpu=True).environment["NVIDIA_VISIBLE_DEVICES"] == "1"


@pytest.mark.parametrize(
    ("facts", "platform", "offers"),
    [
        (EngineFacts(), "linux/amd64", False),
        (EngineFacts(architecture="aarch64"), "linux/arm64", False),
        (EngineFacts(architecture="riscv64"), "linux/riscv64", False),
        (WITH_NVIDIA, "linux/amd64", True),
        (EngineFacts(devices=frozenset({"nvidia.com/gpu=0"})), "linux/amd64", True),
        (EngineFacts(devices=frozenset({"example.com/tpu=0"})), "linux/amd64", False),
    ],
)
def test_platform_and_gpus_of_an_engine(facts: EngineFacts, platform: str, offers: bool) -> None:
    assert (facts.platform, facts.offers_gpus) == (platform, offers)


def test_labels_record_the_spec_without_secrets() -> None:
    labels = container(
        requested=spec(environment={"TOKEN": "s3cret"}, rest_port=PortRequest(9000, explicit=True))
    ).labels
    assert "s3cret" not in str(labels)
    requested = json.loads(labels["tfserve.spec"])
    assert requested["environment"] == {"TOKEN": ""}
    assert requested["rest_port"] == {"number": 9000, "explicit": True}
    assert "grpc_port" not in requested


def test_user_variables_are_added() -> None:
    made = container(requested=spec(environment={"A": "1"}))
    assert list(made.environment) == ["MODEL_NAME", "MODEL_BASE_PATH", "A"]


def test_process_plan() -> None:
    made = process(spec(host="127.0.0.2", environment={"A": "1"}, server_flags=("--enable_batching",), remove=True))
    assert made.command == (
        "python",
        "-m",
        "tfserve.model_server",
        "--port=0",
        "--rest_api_port=8501",
        "--bind_address=127.0.0.2",
        "--model_name=m",
        "--model_base_path=/state/prod/models/m",
        "--enable_batching",
    )
    assert made.mounts == (Mount("/data/m", "/state/prod/models/m"),)
    assert (made.rest, made.grpc) == (PublishedPort(8501, "127.0.0.2", 8501), None)
    assert "--port=8500" in process(ports=HostPorts(8501, 8500)).command
    assert process(ports=HostPorts(8501, 8500)).grpc == PublishedPort(8500, "127.0.0.1", 8500)
    assert (made.environment, made.image, made.remove, made.gpu) == ({"A": "1"}, None, True, False)


def test_official_server() -> None:
    made = process(binary=OFFICIAL, ports=HostPorts(8501, 8500))
    assert made.command[0] == OFFICIAL.argv[0]
    assert "--port=8500" in made.command
    assert not any(argument.startswith("--bind_address") for argument in made.command)
    assert made.grpc == PublishedPort(8500, "0.0.0.0", 8500)  # it has no flag for another address
    assert process(binary=OFFICIAL, ports=HostPorts(None, 8500)).rest is None
    assert made.reload_socket is None
    assert any("takes configuration reloads on its gRPC port" in notice for notice in made.notices)


def test_flags_of_the_own_server() -> None:
    requested = spec(server_flags=("--enable_batching=true", "--rest_api_allowed_hosts=models.example"))
    assert "--rest_api_allowed_hosts=models.example" in process(requested, binary=OWN).command
    refusal = "no flag --rest_api_allowed_hosts: only tfserve's own server has it"
    with pytest.raises(UsageError, match=refusal) as caught:
        process(requested, binary=OFFICIAL)
    assert "take tensorflow_model_server off PATH" in str(caught.value.hint)
    with pytest.raises(UsageError, match=refusal) as caught:
        container(requested=requested)
    assert "without a container" in str(caught.value.hint)


def test_official_server_without_a_grpc_port() -> None:
    """It needs gRPC, and serves it on a socket that only this user can open; so it takes reloads there alone."""
    made = process(binary=OFFICIAL, ports=HostPorts(8501, None))
    assert {"--port=0", "--grpc_socket_path=/state/prod/run/grpc"} <= set(made.command)
    assert (made.grpc, made.reload_socket) == (None, "/state/prod/run/grpc")
    assert not any("reloads" in notice for notice in made.notices)
    long = Path("/state", "d" * 100)
    made = process(binary=OFFICIAL, ports=HostPorts(8501, None), root=long)
    assert "--grpc_socket_path=run/grpc" in made.command  # relative to its working directory
    assert made.reload_socket == f"{long}/run/grpc"
    named = process(spec(server_flags=("--grpc_socket_path=own",)), binary=OFFICIAL, ports=HostPorts(8501, None))
    assert [flag for flag in named.command if flag.startswith("--grpc_socket_path")] == ["--grpc_socket_path=own"]
    assert named.reload_socket == "/state/prod/own"


RELOADS = "--config_reload_socket_path=/state/prod/run/reload"
BOTH = HostPorts(8501, 8500)


@pytest.mark.parametrize(
    ("changes", "ports", "takes"),
    [
        ({}, BOTH, True),
        ({}, HostPorts(8501, None), False),  # nothing could change its one model
        ({"server_flags": ("--grpc_socket_path=x",)}, HostPorts(8501, None), True),
        ({"models": (ModelSpec(Path("/data/m"), "m", VersionPolicy(2)),)}, HostPorts(8501, None), True),
        ({"reload_over_tcp": True}, BOTH, False),
        ({"reload_over_tcp": True, "models": (ModelSpec(Path("/data/m"), "m", VersionPolicy(2)),)}, BOTH, False),
        ({"config": Path("/home/models.config")}, BOTH, True),
        ({"unsandboxed": True}, BOTH, True),
    ],
)
def test_socket_for_reloads(changes: dict[str, Any], ports: HostPorts, takes: bool) -> None:
    made = process(spec(**changes), ports=ports)
    assert (RELOADS in made.command) == takes
    assert made.reload_socket == ("/state/prod/run/reload" if takes else None)
    assert plan.from_json(plan.to_json(made)) == made


def test_sandbox_of_a_process() -> None:
    assert process().sandbox == Sandbox()
    assert process(spec(unsandboxed=True)).sandbox is None
    assert container().sandbox is None
    flags = ("--ssl_config_file=/etc/own/ssl", "--grpc_socket_path=/run/own/socket")
    made = process(spec(config=Path("/home/models.config"), server_flags=flags))
    assert made.sandbox == Sandbox(read=("/home/models.config", "/etc/own/ssl"), sockets=("/run/own/socket",))
    useless = tuple(f"--{name}=/etc/shadow" for name in FILES_WITHOUT_EFFECT)
    assert process(spec(server_flags=useless)).sandbox == Sandbox()
    read_by_official = process(spec(server_flags=useless), binary=OFFICIAL).sandbox
    assert read_by_official == Sandbox(read=("/etc/shadow",) * len(useless))
    remote = process_plan(in_bucket("gs://b/m"), [], binary=OFFICIAL, ports=BOTH, root=Path("/state/prod"))
    assert remote.sandbox == Sandbox(connect=True)
    assert plan.from_json(plan.to_json(made)) == made


def test_notice_without_landlock() -> None:
    for changes, noticed in (({}, True), ({"unsandboxed": True}, False)):
        made = process(spec(**changes), has_landlock=False)
        assert any("runs without a sandbox" in notice for notice in made.notices) == noticed
    assert process().notices == ()


@pytest.mark.parametrize(("binary", "host", "noticed"), [(OFFICIAL, "127.0.0.1", 1), (OFFICIAL, "0.0.0.0", 0)])
def test_notice_about_a_server_that_listens_on_every_interface(binary: Binary, host: str, noticed: int) -> None:
    made = process(spec(host=host), binary=binary, ports=HostPorts(8501, 8500))
    assert sum("listens on every interface" in notice for notice in made.notices) == noticed
    assert plan.from_json(plan.to_json(made)) == made


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"image": "x"}, "image="),
        ({"tag": "x"}, "tag="),
        ({"platform": "linux/arm64"}, "platform="),
        ({"memory": 2**30}, "memory="),
        ({"cpus": 1.0}, "cpus="),
        ({"restart": "always"}, "restart="),
    ],
)
def test_local_engine_refuses_container_options(changes: dict[str, Any], option: str) -> None:
    with pytest.raises(UsageError, match=option) as caught:
        refuse_container_options(spec(**changes))
    assert "engine='docker'" in str(caught.value.hint)


def test_local_engine_refuses_gpus() -> None:
    with pytest.raises(GpuError):
        refuse_container_options(spec(gpu=True))


@pytest.mark.parametrize("made", [container(user=(1, 2)), process(), container(ports=HostPorts(None, 8500), gpu=True)])
def test_json_round_trip(made: LaunchPlan) -> None:
    assert plan.from_json(plan.to_json(made)) == made


@given(st.text(), st.text(), st.dictionaries(st.text(), st.text()))
def test_json_round_trip_of_any_text(source: str, flag: str, environment: dict[str, str]) -> None:
    made = replace(container(), mounts=(Mount(source, "/models/m"),), command=(flag,), environment=environment)
    assert plan.from_json(plan.to_json(made)) == made


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "1", '{"rest": 1}', plan.to_json(container())[:-1]])
def test_invalid_json(text: str) -> None:
    with pytest.raises(ValueError):
        plan.from_json(text)


ADDED_LATER: dict[str, Any] = {  # fields that older versions of tfserve did not write
    **dict.fromkeys(("image", "platform", "user", "memory", "cpus", "restart", "runtime", "gpus")),
    **dict.fromkeys(("sandbox", "reload_socket")),
    **dict.fromkeys(("gpu", "init", "remove"), False),
    "files": {},
    "labels": {},
}


@pytest.mark.parametrize("name", list(json.loads(plan.to_json(container()))))
def test_missing_fields(name: str) -> None:
    data = json.loads(plan.to_json(container()))
    del data[name]
    if name in ADDED_LATER:
        assert getattr(plan.from_json(json.dumps(data)), name) == ADDED_LATER[name]
    else:
        with pytest.raises(ValueError, match=f"not a launch plan: .*{name}"):
            plan.from_json(json.dumps(data))


def test_mounts_of_flag_files() -> None:
    flags = ("--batching_parameters_file=/a/b c", "--enable_batching", "--ssl_config_file=/x", "--ssl_config_file=/y")
    made = container(requested=spec(server_flags=flags))
    assert made.mounts[1:] == (
        Mount("/a/b c", "/etc/tfserve/batching_parameters_file"),
        Mount("/y", "/etc/tfserve/ssl_config_file"),
    )
    assert made.command == (
        "--enable_batching",
        "--batching_parameters_file=/etc/tfserve/batching_parameters_file",
        "--ssl_config_file=/etc/tfserve/ssl_config_file",
    )
    local = process(spec(server_flags=flags))
    assert local.command[-4:] == flags
    assert len(local.mounts) == 1


TWO = (ModelSpec(Path("/data/m"), "a", VersionPolicy(2), {"stable": 3}), ModelSpec(Path("/data/m/3"), "b"))
DIRECTORIES = [BASE, ModelDirectory(Path("/data/m/3"), Layout.VERSION, (ModelVersion(3, Path("/data/m/3")),), "m")]
CONFIG = """\
model_config_list {
  config {
    name: "a"
    base_path: "/models/a"
    model_platform: "tensorflow"
    model_version_policy {
      latest {
        num_versions: 2
      }
    }
    version_labels {
      key: "stable"
      value: 3
    }
  }
  config {
    name: "b"
    base_path: "/models/b"
    model_platform: "tensorflow"
  }
}
"""
LABELS = "--allow_version_labels_for_unavailable_models=true"


def test_container_with_several_models() -> None:
    requested = spec(models=TWO, server_flags=("--enable_batching",))
    made = container_plan(requested, DIRECTORIES, HostPorts(1, 2), engine=EngineFacts())
    assert made.models == ("a", "b")
    assert made.mounts == (Mount("/data/m", "/models/a"), Mount("/data/m/3", "/models/b/3"))
    assert made.files == {"/models.config": CONFIG}
    assert made.command == ("--model_config_file=/models.config", LABELS, "--enable_batching")
    assert made.environment == {}
    assert made.labels["tfserve.config"] == "/models.config"
    assert json.loads(made.labels["tfserve.spec"])["models"] == [
        {"path": "/data/m", "name": "a", "versions": {"latest": 2, "specific": []}, "labels": {"stable": 3}},
        {"path": "/data/m/3", "name": "b"},
    ]
    assert plan.from_json(plan.to_json(made)) == made


def test_process_with_several_models() -> None:
    made = process_plan(spec(models=TWO), DIRECTORIES, HostPorts(1, 2), binary=OWN, root=Path("/state/prod"))
    assert made.mounts == (
        Mount("/data/m", "/state/prod/models/a"),
        Mount("/data/m/3", "/state/prod/models/b/3"),
    )
    assert made.files == {"/state/prod/models.config": CONFIG.replace("/models/", "/state/prod/models/")}
    assert made.command[-2:] == ("--model_config_file=/state/prod/models.config", LABELS)


def test_versions_and_labels_need_a_config() -> None:
    for changes in ({"versions": VersionPolicy()}, {"labels": {"stable": 3}}):
        made = container(requested=spec(models=(replace(spec().models[0], **changes),)))
        assert 'name: "m"' in made.files["/models.config"]


def test_users_own_config() -> None:
    models = (ModelSpec(Path("/data/link"), "m", VersionPolicy(None)),)
    requested = spec(models=models, config=Path("/home/models.config"))
    made = container(requested=requested)
    assert made.mounts == (
        Mount("/home/models.config", "/etc/tfserve/models.config"),
        Mount("/data/m", "/data/link"),  # where the file says it is
    )
    assert made.command == ("--model_config_file=/etc/tfserve/models.config", LABELS)
    assert made.files == {}
    local = process(requested)
    assert (local.mounts, local.files) == ((), {})
    assert local.command[-2] == "--model_config_file=/home/models.config"
    with pytest.raises(SavedModelError, match="is one version"):
        container(DIRECTORIES[1], requested)


def test_batching_and_monitoring_files() -> None:
    requested = spec(batching={"max_batch_size": 8}, monitoring="/metrics")
    made = container(requested=requested)
    assert made.files == {
        "/batching_parameters.config": "max_batch_size { value: 8 }\n",
        "/monitoring.config": 'prometheus_config { enable: true path: "/metrics" }\n',
    }
    assert made.command == (
        "--enable_batching=true",
        "--batching_parameters_file=/batching_parameters.config",
        "--monitoring_config_file=/monitoring.config",
    )
    assert "tfserve.config" not in made.labels
    assert made.environment["MODEL_NAME"] == "m"
    local = process(requested)
    assert set(local.files) == {"/state/prod/batching_parameters.config", "/state/prod/monitoring.config"}
    assert "--batching_parameters_file=/state/prod/batching_parameters.config" in local.command
    alone = container(requested=spec(batching={}))
    assert (alone.command, alone.files) == (("--enable_batching=true",), {})
    with pytest.raises(UsageError, match="--monitoring_config_file cannot be combined with monitoring=, which sets it"):
        spec(monitoring="/", server_flags=("--monitoring_config_file=/x",))


def test_container_with_packaged_models() -> None:
    requested = spec(models=(), image="me/m:1", server_flags=("--enable_batching",), environment={"A": "1"})
    made = container_plan(requested, [], HostPorts(8501, None), engine=EngineFacts(), user=(0, 0), packaged=("a", "b"))
    assert (made.models, made.mounts, made.image) == (("a", "b"), (), "me/m:1")
    assert (made.environment, made.command) == ({"A": "1"}, ("--enable_batching",))  # the image sets the rest
    assert made.labels["tfserve.models"] == '["a", "b"]'
    assert json.loads(made.labels["tfserve.spec"])["image"] == "me/m:1"


def test_local_engine_refuses_packaged_models() -> None:
    with pytest.raises(UsageError, match="image="):
        refuse_container_options(spec(models=(), image="me/m"))


def in_bucket(url: str, **changes: Any) -> ServeSpec:
    return spec(models=(ModelSpec(Url(url), "m"),), **changes)


def test_model_in_a_bucket() -> None:
    credentials = BucketCredentials({"AWS_SECRET_ACCESS_KEY": "s3cret"})
    requested = in_bucket("s3://b/models/m", server_flags=("--enable_batching=true",), environment={"A": "b"})
    made = container_plan(requested, [], HostPorts(8501, None), engine=EngineFacts(), credentials=credentials)
    assert made.mounts == ()
    assert made.command == ("--model_base_path=s3://b/models/m", "--enable_batching=true")
    assert made.environment == {"MODEL_NAME": "m", "MODEL_BASE_PATH": "/models", "A": "b"}
    assert made.secrets == {"AWS_SECRET_ACCESS_KEY": "s3cret"}
    assert json.loads(made.labels["tfserve.spec"])["models"] == [{"path": "s3://b/models/m", "name": "m"}]


def test_bucket_and_directory() -> None:
    models = (ModelSpec(Url("s3://bucket/b"), "b", VersionPolicy(None), {"stable": 1}), *spec().models)
    made = container(requested=spec(models=models))
    assert made.mounts == (Mount("/data/m", "/models/m"),)
    assert 'base_path: "s3://bucket/b"' in made.files["/models.config"]
    assert 'base_path: "/models/m"' in made.files["/models.config"]
    assert not any(flag.startswith("--model_base_path") for flag in made.command)
    paths = [model["path"] for model in json.loads(made.labels["tfserve.spec"])["models"]]
    assert paths == ["s3://bucket/b", "/data/m"]
    official = process(spec(models=models), binary=OFFICIAL, ports=HostPorts(1, 2))
    assert 'base_path: "s3://bucket/b"' in official.files["/state/prod/models.config"]
    with pytest.raises(UsageError, match="s3://bucket/b is in a bucket"):
        process(spec(models=models))
    own = container(requested=spec(models=models, config=Path("/home/models.config")))
    assert own.mounts == (Mount("/home/models.config", "/etc/tfserve/models.config"), Mount("/data/m", "/data/m"))


def test_key_file() -> None:
    variable = "GOOGLE_APPLICATION_CREDENTIALS"
    facts: dict[str, Any] = {
        "engine": EngineFacts(),
        "credentials": BucketCredentials({}, {variable: Path("/home/a/k.json")}),
    }
    made = container_plan(in_bucket("gs://b/m"), [], HostPorts(1, 2), **facts)
    assert made.mounts == (Mount("/home/a/k.json", f"/run/secrets/{variable.lower()}"),)
    assert made.environment[variable] == made.mounts[0].target
    own = in_bucket("gs://b/m", environment={variable: "/in/the/image.json"})
    made = container_plan(own, [], HostPorts(1, 2), **facts)
    assert (made.mounts, made.environment[variable]) == ((), "/in/the/image.json")


def test_secrets_are_not_recorded() -> None:
    requested = spec(environment={"AWS_SECRET_ACCESS_KEY": "s3cret", "A": "b"})
    for made, export in ((container(requested=requested), docker_run), (process(requested), process_line)):
        assert made.secrets == {"AWS_SECRET_ACCESS_KEY": "s3cret"}
        assert "AWS_SECRET_ACCESS_KEY" not in made.environment
        assert made.environment["A"] == "b"
        assert "s3cret" not in plan.to_json(made) + repr(made) + export(made)
        assert plan.from_json(plan.to_json(made)) == replace(made, secrets={})
    assert " --env=AWS_SECRET_ACCESS_KEY " in docker_run(container(requested=requested))


def test_process_with_a_bucket() -> None:
    facts: dict[str, Any] = {"ports": HostPorts(8501, 8500), "root": Path("/state/prod/models")}
    made = process_plan(in_bucket("gs://b/m"), [], binary=OFFICIAL, **facts)
    assert made.mounts == ()
    assert "--model_base_path=gs://b/m" in made.command
    with pytest.raises(UsageError, match="only reads local models, but gs://b/m is in a bucket"):
        process_plan(in_bucket("gs://b/m"), [], binary=OWN, **facts)
