"""The configuration file of the docker command: its errors, and the credentials that it provides.

The SDK reads it, too, but fails on unexpected values, and gives up if a credential helper is missing, without which the
docker command can still pull public images.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfserve.errors import EngineUnavailableError
from tfserve.host.programs import find_program

if TYPE_CHECKING:
    from docker import APIClient

__all__ = [
    "CONFIG_HINT",
    "RegistryCredentials",
    "check_config",
    "config_file",
    "config_problems",
    "find_registry_credentials",
    "offer_credentials",
    "report_failure",
]

CONFIG_HINT = "Fix or remove that entry; docker login writes credentials again. DOCKER_CONFIG names another directory."
_OBJECTS, _STRINGS = ("proxies", "HttpHeaders"), ("credsStore", "currentContext")
_HELPER = "docker-credential-"  # https://docs.docker.com/reference/cli/docker/login/#credential-helpers


@dataclass(frozen=True)
class RegistryCredentials:
    """The credentials to send to the engine for a registry; and why a helper did not provide any, if it failed."""

    sent: Mapping[str, Any] = field(default_factory=dict)
    failure: str = ""


def config_file() -> Path | None:
    """The file that the docker command would read; None if there is none."""
    from docker.utils.config import find_config_file

    found = find_config_file()
    return Path(found) if found else None


def check_config() -> None:
    """Checks for values on which the SDK would fail. A file of invalid JSON is ignored, as by the docker command.

    Raises:
        EngineUnavailableError: a value is not valid.
    """
    file = config_file()
    config, _ = _read(file)
    if wrong := next(_wrong(config), None):
        raise EngineUnavailableError(
            f"The docker command's configuration is not valid: {file}: {wrong}.", hint=CONFIG_HINT
        )


def config_problems() -> list[str]:
    """The errors in the file, and the credential helpers that it names and that are not installed."""
    file = config_file()
    config, failure = _read(file)
    if failure:
        return [f"{file} {failure}, so contexts and credentials are not used."]
    if wrong := list(_wrong(config)):
        return [f"{file}: {one}." for one in wrong]
    return [
        f"{_HELPER}{store} is not installed, which {file} names ({key})."
        for key, store in _stores(config)
        if find_program(f"{_HELPER}{store}") is None
    ]


def find_registry_credentials(registry: str) -> RegistryCredentials:
    """Finds the docker command's credentials for a registry; those of a helper that fails are left out."""
    import docker.auth

    config = _with_bounded_helpers(docker.auth.load_config())
    store = config.get_credential_store(registry)
    without = docker.auth.AuthConfig({"auths": config.auths})
    failure = _missing(store) if store else ""
    if not failure:
        try:
            return RegistryCredentials(config.resolve_authconfig(registry) or {})
        except _store_errors() as error:
            failure = _not_given(store, error)
    return RegistryCredentials(without.resolve_authconfig(registry) or {}, failure)


def report_failure(failure: str, on_notice: Callable[[str], None]) -> None:
    """Reports why credentials cannot be read, if `failure` is not empty."""
    if failure:
        on_notice(f"{failure}: continuing without its credentials.")


def offer_credentials(client: APIClient, on_notice: Callable[[str], None]) -> None:
    """Makes `client` send the available credentials with a build, and reports which are not available."""
    import docker.auth

    config = docker.auth.load_config()
    if not (config.creds_store or config.cred_helpers):
        return

    class Obtainable(docker.auth.AuthConfig):  # type: ignore[misc, unused-ignore]
        """The configuration of the SDK, which would give up at the first helper that fails."""

        def get_all_credentials(self) -> dict[str, Any]:
            found, _ = _all_credentials(self)
            return found

    for failure in _all_credentials(config)[1]:
        report_failure(failure, on_notice)
    client._auth_configs = Obtainable(dict(config))  # a build reads them only from there


def _all_credentials(config: Any) -> tuple[dict[str, Any], list[str]]:
    import docker.auth

    found, failures = dict(config.auths), list[str]()
    parts = [(config.creds_store, {"credsStore": config.creds_store})] if config.creds_store else []
    parts += [(helper, {"credHelpers": {registry: helper}}) for registry, helper in config.cred_helpers.items()]
    for store, part in parts:
        failure = _missing(store)
        if not failure:
            try:
                found.update(_with_bounded_helpers(docker.auth.AuthConfig(part)).get_all_credentials())
            except _store_errors() as error:
                failure = _not_given(store, error)
        if failure and failure not in failures:
            failures.append(failure)
    return {registry: entry for registry, entry in found.items() if entry is not None}, failures


def _store_errors() -> tuple[type[Exception], ...]:
    from docker.credentials.errors import StoreError
    from docker.errors import DockerException

    # The last four are errors in an unexpected answer.
    return (DockerException, StoreError, OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


def _with_bounded_helpers(config: Any) -> Any:
    """Returns `config`, whose credential helpers get a limited time and may write a limited answer."""
    from tfserve.engines.docker.credential_helper import BoundedStore

    stores: dict[str, BoundedStore] = {}
    config._get_store_instance = lambda name: stores.setdefault(name, BoundedStore(name))
    return config


def _missing(store: str) -> str:
    installed = find_program(f"{_HELPER}{store}") is not None
    return "" if installed else f"{_HELPER}{store}, which {config_file()} names, is not installed"


def _not_given(store: str, error: Exception) -> str:
    why = " ".join(str(error.__cause__ or error).split()).rstrip(".")
    return f"{_HELPER}{store}, which {config_file()} names, provides no credentials ({why})"


def _read(file: Path | None) -> tuple[object, str]:
    """The content of a file; or an empty object, and why the file cannot be read."""
    if file is None or file.name != "config.json":  # the old .dockercfg has a different format
        return {}, ""
    try:
        return json.loads(file.read_text(encoding="utf-8")), ""
    except OSError as error:
        return {}, f"cannot be read ({error.strerror})"
    except (ValueError, RecursionError):
        return {}, "is not valid JSON"


def _stores(config: object) -> Iterator[tuple[str, str]]:
    """The credential stores that a valid configuration names, each with its key."""
    if isinstance(config, dict):
        if config.get("credsStore"):
            yield "credsStore", config["credsStore"]
        for registry, helper in (config.get("credHelpers") or {}).items():
            yield f"credHelpers.{registry}", helper


def _wrong(config: object) -> Iterator[str]:
    """The values on which the SDK would fail, each with its key.

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
