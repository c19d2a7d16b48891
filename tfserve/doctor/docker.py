"""Checks of Docker: whether it can serve, and what to do if it cannot."""

from __future__ import annotations

from tfserve.doctor.facts import Check, EngineAnswer, Facts
from tfserve.engines.docker.config import CONFIG_HINT
from tfserve.errors import Attribute, Wording
from tfserve.spec.image import OFFICIAL_PLATFORM

__all__ = ["docker_checks", "docker_serves"]

_IMAGE_BYTES = 1 * 2**30  # the size of an unpacked official serving image, rounded up; below with CUDA
_GPU_IMAGE_BYTES = 8 * 2**30
_NO_ENGINE = "The Docker Engine does not respond."
_LOCAL = Attribute("engine", "local")
_EMULATE = "docker run --privileged --rm tonistiigi/binfmt --install amd64"


def docker_serves(facts: Facts) -> bool:
    """Whether the Docker Engine responds, and has or can pull an image that it can run."""
    engine = facts.engine
    if not isinstance(engine, EngineAnswer):
        return False
    has_image = bool(engine.images) or (_has_room(engine) and (facts.registry is None or not facts.registry.failure))
    return has_image and _runs_amd64(facts, engine)


def docker_checks(facts: Facts) -> tuple[Check, ...]:
    """Returns all checks of Docker. Checks that depend on the engine are skipped if it does not respond."""
    if isinstance(facts.engine, EngineAnswer):
        engine = facts.engine
        checks = (_engine(engine), _disk(facts, engine), _platform(facts, engine))
        return (_docker(facts), _config(facts), *checks, _proxy(facts, engine), _registry(facts, engine))
    details = f" Details: {facts.engine.details}" if facts.engine.details else ""
    failed = Check(
        "docker-engine",
        "fail",
        Wording("{problem}{details}", problem=facts.engine.wording, details=details),
        facts.engine.hint_wording,
    )
    skipped = (Check(name, "skip", _NO_ENGINE) for name in ("disk", "platform"))
    registry = Check("registry", "skip", "Without a Docker Engine, no image is pulled.")
    return (_docker(facts), _config(facts), failed, *skipped, _proxy(facts, None), registry)


def _docker(facts: Facts) -> Check:
    if facts.docker_command:
        return Check("docker", "ok", f"{facts.docker_command}, {facts.context}")
    if isinstance(facts.engine, EngineAnswer):
        return Check("docker", "ok", f"The docker command was not found, but tfserve does not need it; {facts.context}")
    return Check("docker", "warn", "The docker command was not found.", f"Install Docker: {facts.system.docker_page}")


def _config(facts: Facts) -> Check:
    if facts.config_problems:
        return Check("docker-config", "warn", " ".join(facts.config_problems), CONFIG_HINT)
    return Check(
        "docker-config", "ok", facts.config or "The docker command has no configuration file, and does not need one."
    )


def _engine(engine: EngineAnswer) -> Check:
    where = f" on {engine.facts.host}" if engine.facts.host else ""
    kind = "Docker Desktop" if engine.facts.desktop else "rootless" if engine.facts.rootless else ""
    return Check(
        "docker-engine",
        "ok",
        f"Docker Engine {engine.version}{where} at {engine.endpoint}, API {engine.api}{kind and f', {kind}'}",
    )


def _disk(facts: Facts, engine: EngineAnswer) -> Check:
    if engine.free is None:
        return Check("disk", "skip", "The engine's disk is not on this machine.")
    free = f"{engine.free / 2**30:.1f} GiB free on the engine's disk"
    prune = "docker system df   then: docker system prune"
    if not _has_room(engine):
        have = f"; already pulled: {', '.join(engine.images)}" if engine.images else ""
        return Check("disk", "warn" if engine.images else "fail", f"{free}; an image needs about 1 GiB{have}.", prune)
    if engine.free < _GPU_IMAGE_BYTES and facts.gpus.gpus and not _has_gpu_image(engine):
        return Check("disk", "warn", f"{free}; the image with CUDA needs about 8 GiB.", prune)
    return Check("disk", "ok", f"{free}.")


def _platform(facts: Facts, engine: EngineAnswer) -> Check:
    own = engine.facts.platform
    if own == OFFICIAL_PLATFORM:
        if facts.avx is False and engine.facts.host is None:
            return Check(
                "platform",
                "warn",
                f"{own}, but the CPU does not support AVX, which the official images need.",
                Wording("Build an image for this CPU, or serve with {engine}.", engine=_LOCAL),
            )
        return Check("platform", "ok", f"{own}, for which TensorFlow publishes images")
    cause = f"{own}, for which TensorFlow does not publish images"
    if _runs_amd64(facts, engine):
        return Check(
            "platform",
            "warn",
            f"{cause}; {OFFICIAL_PLATFORM} is emulated, which is slow.",
            Wording(
                "Serve with {engine}, or use emulation: {platform}",
                engine=_LOCAL,
                platform=Attribute("platform", OFFICIAL_PLATFORM),
            ),
        )
    emulate = Wording("Serve with {engine}, or install an emulator: {command}", engine=_LOCAL, command=_EMULATE)
    return Check("platform", "warn", f"{cause}.", emulate)


def _proxy(facts: Facts, engine: EngineAnswer | None) -> Check:
    proxy = facts.proxies.get("https_proxy") or facts.proxies.get("http_proxy")
    theirs = engine.proxy if engine else ""
    if not proxy:
        return Check("proxy", "ok", f"The engine uses {_shown(theirs)}" if theirs else "No proxy is configured.")
    exempt = {name.strip() for name in facts.proxies.get("no_proxy", "").split(",")}
    if not exempt & {"127.0.0.1", "localhost", "127.0.0.0/8", "*"}:
        return Check(
            "proxy",
            "warn",
            f"{_shown(proxy)} also applies to this machine itself: curl could not reach a local server.",
            "export NO_PROXY=localhost,127.0.0.1",
        )
    if engine is not None and not theirs and engine.facts.host is None:
        return Check(
            "proxy",
            "warn",
            f"{_shown(proxy)} is configured here, but not for the Docker Engine, which pulls the images.",
            "https://docs.docker.com/engine/daemon/proxy/",
        )
    return Check("proxy", "ok", _shown(proxy))


def _registry(facts: Facts, engine: EngineAnswer) -> Check:
    if facts.registry is None:
        return Check("registry", "skip", f"The engine on {engine.facts.host} pulls images over its own network.")
    if not facts.registry.failure:
        return Check("registry", "ok", f"{facts.registry.url} responds")
    return Check(
        "registry",
        "warn" if engine.images else "fail",
        f"{facts.registry.url} does not respond: {facts.registry.failure}.",
        "Check the network and the proxy: docker pull tensorflow/serving\nWithout a network: docker load -i IMAGE.tar",
    )


def _has_room(engine: EngineAnswer) -> bool:
    return engine.free is None or engine.free >= _IMAGE_BYTES


def _has_gpu_image(engine: EngineAnswer) -> bool:
    return any(image.endswith("-gpu") for image in engine.images)


def _runs_amd64(facts: Facts, engine: EngineAnswer) -> bool:
    """Whether the engine can run the official images, natively or emulated; Docker Desktop has an emulator."""
    local = engine.facts.host is None
    return engine.facts.platform == OFFICIAL_PLATFORM or engine.facts.desktop or (local and facts.emulates)


def _shown(proxy: str) -> str:
    """Returns a proxy's address without the user name and password it may contain."""
    return f"Proxy {proxy.rpartition('@')[2]}"
