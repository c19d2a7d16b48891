"""The docker command's configuration, valid and not, with a real engine and a registry that requires a login."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from docker import DockerClient

from tests.program import assert_error

from .conftest import PrivateRegistry, Tfserve

HALF_PLUS_TWO = Path(__file__).parents[2] / "examples" / "half_plus_two"
MISSING = {"credsStore": "there-is-none"}
FAILS = {"credsStore": "tests"}


@pytest.fixture
def configured(tfserve: Tfserve, tmp_path: Path) -> Callable[[object], Path]:
    """Writes the configuration that `tfserve` reads. A credential helper ``tests``, which fails, is on PATH."""
    directory = tmp_path / "docker"
    directory.mkdir()
    helper = tmp_path / "docker-credential-tests"
    helper.write_text("#!/bin/sh\necho locked\nexit 1\n")
    helper.chmod(0o755)
    tfserve.environment["DOCKER_CONFIG"] = str(directory)
    tfserve.environment["PATH"] = f"{tmp_path}:{tfserve.environment['PATH']}"

    def write(config: object) -> Path:
        file = directory / "config.json"
        file.write_text(config if isinstance(config, str) else json.dumps(config))
        return file

    return write


@pytest.mark.parametrize("config", [MISSING, FAILS, {"credHelpers": {"https://index.docker.io/v1/": "tests"}}])
def test_a_public_image_is_pulled_without_the_helper(
    config: object, configured: Callable[[object], Path], tfserve: Tfserve
) -> None:
    file = configured(config)
    pulled = tfserve("pull")
    assert pulled.returncode == 0, pulled.stderr
    (notice,) = pulled.stderr.splitlines()[1:]
    assert notice.startswith("docker-credential-")
    assert f"which {file} names" in notice
    assert notice.endswith("continuing without its credentials.")


@pytest.mark.parametrize(("config", "why"), [(MISSING, "is not installed"), (FAILS, "provides no credentials")])
def test_a_private_image_needs_the_helper(
    config: dict[str, str],
    why: str,
    configured: Callable[[object], Path],
    tfserve: Tfserve,
    private_registry: PrivateRegistry,
    unique_name: Callable[..., str],
    docker_client: DockerClient,
) -> None:
    configured(config)
    image = f"{private_registry.host}/{unique_name('private')}:1"
    assert_error(tfserve("pull", image), 5, "does not give", why, f"docker login {private_registry.host}")
    assert_error(tfserve("images", "--remote", image), 5, "denies this user access", why)
    packaged = tfserve("package", HALF_PLUS_TWO, "--image", image, "--push")
    assert_error(packaged, 5, "refused", why, f"docker login {private_registry.host} && docker push {image}")
    assert docker_client.images.get(image)
    inside = json.loads((private_registry.config / "config.json").read_text())
    configured({**config, **inside})  # credentials in the file itself are still found
    pushed = tfserve("package", HALF_PLUS_TWO, "--image", image, "--push", "--force")
    assert pushed.returncode == 0, pushed.stderr


def test_missing_credentials(
    configured: Callable[[object], Path], tfserve: Tfserve, private_registry: PrivateRegistry
) -> None:
    configured({})
    image = f"{private_registry.host}/me/m:1"
    assert_error(tfserve("pull", image), 5, "does not give", f"docker login {private_registry.host}")


@pytest.mark.parametrize(
    ("config", "entry"),
    [
        ([], "it is not a JSON object"),
        ({"auths": 5}, "auths is not an object"),
        ({"auths": {"127.0.0.1:9": 5}}, "auths.127.0.0.1:9 is not an object"),
        ({"auths": {"127.0.0.1:9": {"auth": "!!!"}}}, "auths.127.0.0.1:9.auth is not USER:PASSWORD in base64"),
        ({"currentContext": 5}, "currentContext is not a string"),
        ({"HttpHeaders": 5}, "HttpHeaders is not an object"),
        ({"HttpHeaders": {"a": 5}}, "HttpHeaders.a is not a string"),
        ({"proxies": 7}, "proxies is not an object"),
        ({"proxies": {"default": 7}}, "proxies.default is not an object"),
        ({"credHelpers": 5}, "credHelpers is not an object"),
        ({"credsStore": 5}, "credsStore is not a string"),
    ],
)
def test_an_entry_that_is_not_valid_is_named(
    config: object, entry: str, configured: Callable[[object], Path], tfserve: Tfserve
) -> None:
    file = configured(config)
    assert_error(tfserve("images"), 4, f"configuration is not valid: {file}: {entry}.")
    report = tfserve("doctor")
    assert report.returncode == 0, report.stderr  # the local engine serves
    assert f"warn  docker-config             {file}: {entry}." in report.stdout
    assert f"fail  docker-engine             The docker command's configuration is not valid: {file}" in report.stdout


@pytest.mark.parametrize(
    ("config", "doubt"),
    [
        ("{broken", "is not valid JSON, so contexts and credentials are not used."),
        (MISSING, "docker-credential-there-is-none is not installed"),
        ({"credHelpers": {"example.com": "there-is-none"}}, "(credHelpers.example.com)"),
    ],
)
def test_doctor_reports_what_is_ignored(
    config: object, doubt: str, configured: Callable[[object], Path], tfserve: Tfserve
) -> None:
    file = configured(config)
    report = json.loads(tfserve("doctor", "--json").stdout)
    checks = {check["name"]: check for check in report["checks"]}
    assert checks["docker-config"]["status"] == "warn"
    assert doubt in checks["docker-config"]["detail"]
    assert str(file) in checks["docker-config"]["detail"]
    assert checks["docker-engine"]["status"] == "ok"


def test_empty_entries_count_as_missing(configured: Callable[[object], Path], tfserve: Tfserve) -> None:
    configured(dict.fromkeys(("auths", "credHelpers", "credsStore", "currentContext")))
    assert tfserve("images", env={"DOCKER_HOST": ""}).returncode in (0, 4)  # 4: no engine at the default socket
    assert tfserve("images").returncode == 0
