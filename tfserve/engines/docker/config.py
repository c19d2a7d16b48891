"""The configuration file of the docker command: what is wrong with it, and the credentials that it leads to.

The SDK reads it, too; but it trips over what it does not expect there, and gives up where a credential helper is
missing, without which the docker command pulls what is public.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfserve.errors import EngineUnavailableError

if TYPE_CHECKING:
    from docker import APIClient

__all__ = [
    "MEND",
    "RegistryCredentials",
    "check_config",
    "config_file",
    "doubts",
    "find_registry_credentials",
    "offer_credentials",
]

MEND = "Mend that entry, or take it out: docker login writes credentials anew. DOCKER_CONFIG names another directory."
_OBJECTS, _STRINGS = ("proxies", "HttpHeaders"), ("credsStore", "currentContext")
_HELPER = "docker-credential-"  # https://docs.docker.com/reference/cli/docker/login/#credential-helpers


@dataclass(frozen=True)
class RegistryCredentials:
    """What to tell the engine for a registry; and why a helper did not give what there may be, if so."""

    sent: Mapping[str, Any] = field(default_factory=dict)
    failure: str = ""


def config_file() -> Path | None:
    """The file that the docker command would read; None where there is none."""
    from docker.utils.config import find_config_file

    found = find_config_file()
    return Path(found) if found else None


def check_config() -> None:
    """Looks for what the SDK would trip over. What is no JSON it passes over, as the docker command does.

    Raises:
        EngineUnavailableError: there is something; it is named.
    """
    file = config_file()
    config, _ = _read(file)
    if wrong := next(_wrong(config), None):
        raise EngineUnavailableError(f"The docker command's configuration is wrong: {file}: {wrong}.", hint=MEND)


def doubts() -> list[str]:
    """What is wrong with the file, and which credential helpers that it names are not installed; no more is run."""
    file = config_file()
    config, failure = _read(file)
    if failure:
        return [f"{file} {failure}: contexts and credentials are none."]
    if wrong := list(_wrong(config)):
        return [f"{file}: {one}." for one in wrong]
    return [
        f"{_HELPER}{store} is not installed, which {file} names ({key})."
        for key, store in _stores(config)
        if shutil.which(f"{_HELPER}{store}") is None
    ]


def find_registry_credentials(registry: str) -> RegistryCredentials:
    """Finds the docker command's credentials for a registry; without those of a helper that does not answer."""
    import docker.auth

    config = docker.auth.load_config()
    store = config.get_credential_store(registry)
    without = docker.auth.AuthConfig({"auths": config.auths})
    failure = _missing(store) if store else ""
    if not failure:
        try:
            return RegistryCredentials(config.resolve_authconfig(registry) or {})
        except _store_errors() as error:
            failure = _not_given(store, error)
    return RegistryCredentials(without.resolve_authconfig(registry) or {}, failure)


def offer_credentials(client: APIClient, on_notice: Callable[[str], None]) -> None:
    """Has `client` send with a build the credentials that can be had, and tells which cannot."""
    import docker.auth

    config = docker.auth.load_config()
    if not (config.creds_store or config.cred_helpers):
        return

    class Obtainable(docker.auth.AuthConfig):  # type: ignore[misc, unused-ignore]
        """The SDK's, which would give up at the first helper that does not answer."""

        def get_all_credentials(self) -> dict[str, Any]:
            found, _ = _all_credentials(self)
            return found

    for failure in _all_credentials(config)[1]:
        on_notice(f"{failure}: going on without its credentials.")
    client._auth_configs = Obtainable(dict(config))  # a build takes them from nowhere else


def _all_credentials(config: Any) -> tuple[dict[str, Any], list[str]]:
    import docker.auth

    found, failures = dict(config.auths), list[str]()
    parts = [(config.creds_store, {"credsStore": config.creds_store})] if config.creds_store else []
    parts += [(helper, {"credHelpers": {registry: helper}}) for registry, helper in config.cred_helpers.items()]
    for store, part in parts:
        failure = _missing(store)
        if not failure:
            try:
                found.update(docker.auth.AuthConfig(part).get_all_credentials())
            except _store_errors() as error:
                failure = _not_given(store, error)
        if failure and failure not in failures:
            failures.append(failure)
    return {registry: entry for registry, entry in found.items() if entry is not None}, failures


def _store_errors() -> tuple[type[Exception], ...]:
    from docker.credentials.errors import StoreError
    from docker.errors import DockerException

    return (DockerException, StoreError, OSError, ValueError, LookupError, TypeError)  # the last: not what it is to say


def _missing(store: str) -> str:
    there = shutil.which(f"{_HELPER}{store}") is not None
    return "" if there else f"{_HELPER}{store}, which {config_file()} names, is not installed"


def _not_given(store: str, error: Exception) -> str:
    why = " ".join(str(error.__cause__ or error).split()).rstrip(".")
    return f"{_HELPER}{store}, which {config_file()} names, gives no credentials ({why})"


def _read(file: Path | None) -> tuple[object, str]:
    """What is in a file, and why it cannot be read, if so; an empty object then."""
    if file is None or file.name != "config.json":  # the .dockercfg of old has a format of its own
        return {}, ""
    try:
        return json.loads(file.read_text(encoding="utf-8")), ""
    except OSError as error:
        return {}, f"cannot be read ({error.strerror})"
    except ValueError:
        return {}, "is no JSON"


def _stores(config: object) -> Iterator[tuple[str, str]]:
    """The credential stores that a configuration without faults names, and where."""
    if isinstance(config, dict):
        if config.get("credsStore"):
            yield "credsStore", config["credsStore"]
        for registry, helper in (config.get("credHelpers") or {}).items():
            yield f"credHelpers.{registry}", helper


def _wrong(config: object) -> Iterator[str]:
    """What the SDK cannot cope with, each with its place.

    Source of the format: https://docs.docker.com/reference/cli/docker/#docker-cli-configuration-file-configjson-properties
    """
    if not isinstance(config, dict):
        yield "it is not a JSON object"
        return
    for key in _STRINGS:
        if not isinstance(config.get(key), str | None):
            yield f"{key} is not a string"
    for key in _OBJECTS:
        if not isinstance(config.get(key, {}), dict):
            yield f"{key} is not an object"
    yield from _wrong_values(config, "HttpHeaders", str, "a string")
    yield from _wrong_values(config, "credHelpers", str, "a string")
    yield from _wrong_values(config, "proxies", dict, "an object")
    yield from _wrong_values(config, "auths", dict, "an object")
    auths = config.get("auths")
    for registry, entry in auths.items() if isinstance(auths, dict) else ():
        if isinstance(entry, dict) and not _is_readable(entry):
            yield f"auths.{registry}.auth is not USER:PASSWORD in base64"


def _wrong_values(config: dict[str, Any], key: str, kind: type, what: str) -> Iterator[str]:
    values = config.get(key)
    if isinstance(values, dict):
        yield from (f"{key}.{name} is not {what}" for name, value in values.items() if not isinstance(value, kind))
    elif values is not None and key not in _OBJECTS:
        yield f"{key} is not an object"


def _is_readable(entry: dict[str, Any]) -> bool:
    from docker.auth import decode_auth

    try:
        if "identitytoken" not in entry and "auth" in entry:
            decode_auth(entry["auth"])
    except (ValueError, TypeError):
        return False
    return True
