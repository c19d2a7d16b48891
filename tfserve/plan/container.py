"""Makes the launch plan of a container from a spec and the facts about its models and its engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tfserve.errors import SavedModelError
from tfserve.models.bucket_credentials import BucketCredentials
from tfserve.models.saved_model import ModelDirectory
from tfserve.plan.engine_facts import NVIDIA_RUNTIME, EngineFacts
from tfserve.plan.launch_plan import HostPorts, LaunchPlan, Mount, publish, secrets_in, without_secrets
from tfserve.plan.mounts import container_view
from tfserve.plan.spec_label import NO_FILES, server_labels
from tfserve.spec import image as images
from tfserve.spec.gpus import GpuRequest
from tfserve.spec.serve import ServeSpec
from tfserve.spec.server_flags import check_official

__all__ = ["container_plan"]

_NO_CREDENTIALS = BucketCredentials()


def container_plan(
    spec: ServeSpec,
    directories: Sequence[ModelDirectory],
    ports: HostPorts,
    *,
    engine: EngineFacts,
    gpu: bool = False,
    user: tuple[int, int] | None = None,
    credentials: BucketCredentials = _NO_CREDENTIALS,
    packaged: tuple[str, ...] = (),
    flag_files: Mapping[str, str] = NO_FILES,
) -> LaunchPlan:
    """Plans a container of a serving image.

    Args:
        spec: the server.
        directories: the models of `spec` that are on this machine, in its order.
        ports: the host ports to publish on.
        engine: the facts about the engine.
        gpu: whether to use a GPU.
        user: the uid and gid that can read the models; None to run as the user of the image.
        credentials: what the server needs to read models in buckets.
        packaged: the names of the models inside the image, if `spec` has no models.
        flag_files: the digests of the text files that the server flags name.

    Raises:
        UsageError: the name of the image is not valid, or only tfserve's own server has one of the server flags.
        SavedModelError: a model is not completely inside the directory to mount.
    """
    check_official(spec.server_flags, instead="serve without a container: tfserve help local-server")
    for directory in directories:
        _check_links(directory)
    view = container_view(spec, directories)
    models = tuple(model.name for model in spec.models) or packaged
    runtime = NVIDIA_RUNTIME if gpu and NVIDIA_RUNTIME in engine.runtimes else None
    gpus = spec.gpus or GpuRequest()
    fraction = spec.gpu_memory_fraction if gpu else None
    key_files = {name: path for name, path in credentials.files.items() if name not in spec.environment}
    environment = {
        # An image with models inside has these variables itself.
        **(
            {"MODEL_NAME": models[0], "MODEL_BASE_PATH": images.MODEL_ROOT} if spec.models and spec.single_model else {}
        ),
        **(gpus.environment if runtime else {}),
        **({"TF_FORCE_GPU_ALLOW_GROWTH": "true"} if gpu and spec.gpu_memory_growth else {}),
        **{name: _secret_file(name) for name in key_files},
        **without_secrets(spec.environment),
    }
    return LaunchPlan(
        name=spec.name,
        models=models,
        mounts=(*view.mounts, *(Mount(str(path), _secret_file(name)) for name, path in key_files.items())),
        files=view.files,
        rest=publish(images.REST_PORT, spec.host, ports.rest),
        grpc=publish(images.GRPC_PORT, spec.host, ports.grpc),
        environment=environment,
        secrets={**credentials.variables, **secrets_in(spec.environment)},
        command=(*([f"--per_process_gpu_memory_fraction={fraction}"] if fraction else ()), *view.flags),
        gpu=gpu,
        labels=server_labels(spec, models, directories, view, flag_files, gpu=gpu),
        image=str(images.ImageReference.parse(spec.image, spec.tag).official_variant(gpu=gpu)),
        platform=spec.platform,
        user=f"{user[0]}:{user[1]}" if user and not engine.rootless else None,
        init=True,  # the image's entrypoint is a shell, which neither forwards signals nor exits on them
        dropped_capabilities=("ALL",),
        security_options=("no-new-privileges", *(("label=disable",) if engine.selinux else ())),
        memory=spec.memory,
        cpus=spec.cpus,
        restart=spec.restart,
        remove=spec.remove,
        runtime=runtime,
        gpus=gpus.option if gpu and not runtime else None,
    )


def _secret_file(variable: str) -> str:
    return f"/run/secrets/{variable.lower()}"


def _check_links(directory: ModelDirectory) -> None:
    """Refuses a newest version that is a link to a place outside the mount, which does not exist in the container."""
    if not directory.newest.path.is_relative_to(directory.path):
        raise SavedModelError(
            f"Version {directory.newest.number} of {str(directory.path)!r} is a link to "
            f"{str(directory.newest.path)!r}, which would not be visible in a container.",
            hint="Copy the version into the directory, or serve the linked directory itself.",
        )
