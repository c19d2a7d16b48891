"""The stand-in for `tensorflow/serving`: an image as officially documented, with this project's own model server.

Facts about the official images (entrypoint, environment, ports, working directories):
https://github.com/tensorflow/serving/tree/master/tensorflow_serving/tools/docker
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from .layers import Recipe, recipes
from .registry import CONFIG, LAYER, MANIFEST, Registry, Upload

REPOSITORY = "tensorflow/serving"
VERSION = "2.19.1"
LABEL = "stand-in.digest"  # not one of tfserve's labels, as a container inherits the labels of its image

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NVIDIA = ["NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=compute,utility"]
_SERVING: dict[str, Any] = {
    "Entrypoint": ["/usr/bin/tf_serving_entrypoint.sh"],
    "Env": [_PATH, "MODEL_BASE_PATH=/models", "MODEL_NAME=model"],
    "ExposedPorts": {"8500/tcp": {}, "8501/tcp": {}},
}
_DEVEL: dict[str, Any] = {"Cmd": ["/bin/bash"], "Env": [_PATH], "WorkingDir": "/tensorflow-serving"}


@dataclass(frozen=True)
class Layer:
    """A layer in the registry. It is not compressed, so its digest is also its diff id. `key` is that of its recipe."""

    key: str
    digest: str
    size: int


def tags() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each tag, with the configuration of its image."""
    for gpu in ("", "-gpu"):
        environment = _NVIDIA if gpu else []
        for devel, config in (("", _SERVING), ("-devel", _DEVEL)):
            for version in ("latest", VERSION):
                yield f"{version}{devel}{gpu}", {**config, "Env": [*config["Env"], *environment]}


def current_digest() -> str:
    """Identifies the sources of the stand-in; each image has it as a label."""
    return recipes()[-1].digest


def is_current(registry: Registry) -> bool:
    """Whether every tag exists and is made from the current sources."""
    digest = current_digest()
    return all(_label(registry, tag) == digest for tag, _ in tags())


def push(registry: Registry, architecture: str) -> list[str]:
    """Makes the missing layers in parallel, and pushes all tags to the registry. Returns the names of new layers."""
    wanted = recipes()
    known = _known_layers(registry)
    missing = [recipe for recipe in wanted if recipe.key not in known]
    with ThreadPoolExecutor(max_workers=4) as pool:
        made = list(pool.map(lambda recipe: _make(registry, recipe), missing))
    known |= {layer.key: layer for layer in made}
    layers = [known[recipe.key] for recipe in wanted]
    for tag, config in tags():
        _put_image(registry, tag, {**config, "Labels": {LABEL: current_digest()}}, layers, architecture)
    return [recipe.name for recipe in missing]


def _make(registry: Registry, recipe: Recipe) -> Layer:
    with Upload(registry, REPOSITORY) as upload:
        recipe.write(upload)
    return Layer(recipe.key, upload.digest, upload.size)


def _put_image(registry: Registry, tag: str, config: dict[str, Any], layers: list[Layer], architecture: str) -> None:
    now = datetime.now(timezone.utc).isoformat()
    document = {
        "architecture": architecture,
        "os": "linux",
        "created": now,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
        "history": [{"created": now, "created_by": layer.key} for layer in layers],
    }
    digest, size = registry.put_blob(REPOSITORY, json.dumps(document).encode())
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest, "size": size},
        "layers": [{"mediaType": LAYER, "digest": layer.digest, "size": layer.size} for layer in layers],
    }
    registry.put_manifest(REPOSITORY, tag, manifest)


def _known_layers(registry: Registry) -> dict[str, Layer]:
    """The layers of the existing image, by their keys."""
    manifest = registry.manifest(REPOSITORY, "latest")
    if manifest is None:
        return {}
    history = _config(registry, manifest).get("history", [])
    layers = [
        Layer(entry["created_by"], layer["digest"], layer["size"])
        for entry, layer in zip(history, manifest["layers"], strict=False)
    ]
    return {layer.key: layer for layer in layers if registry.has_blob(REPOSITORY, layer.digest)}


def _label(registry: Registry, tag: str) -> str | None:
    manifest = registry.manifest(REPOSITORY, tag)
    if manifest is None:
        return None
    labels = _config(registry, manifest).get("config", {}).get("Labels", {})
    return labels.get(LABEL) if isinstance(labels, dict) else None


def _config(registry: Registry, manifest: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(registry.blob(REPOSITORY, manifest["config"]["digest"])))
