"""Asks a registry which tags a repository has, over the API of the OCI distribution specification.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags,
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from tfserve.errors import ImageError, reason
from tfserve.images import HUB, HUB_HOST, ImageReference, is_tag

if TYPE_CHECKING:
    from requests import Response, Session

__all__ = ["remote_tags"]

_TIMEOUT_SECONDS = 20.0
_PAGE = 1000
_PAGES_AT_MOST = 100


def remote_tags(reference: ImageReference) -> list[str]:
    """Lists the tags of a repository, in the order of its registry.

    Args:
        reference: the repository; its tag does not matter. Credentials are those of the docker command.

    Raises:
        ImageError: the registry does not know it, does not show it to this user, or does not answer.
    """
    import requests

    host = HUB_HOST if reference.registry == HUB else reference.registry
    scheme = "http" if _is_loopback(host) else "https"  # as the Docker Engine has it
    first = f"{scheme}://{host}/v2/{reference.path}/tags/list?n={_PAGE}"
    tags: list[str] = []
    try:
        with requests.Session() as session:
            url: str | None = first
            for _ in range(_PAGES_AT_MOST):
                if url is None or urlsplit(url).netloc != host:
                    break
                answer = _get(session, url, reference)
                tags += _tags_in(answer, reference)
                following = answer.links.get("next", {}).get("url")
                url = urljoin(url, following) if following else None
    except requests.RequestException as error:
        raise ImageError(
            f"The registry {reference.registry} does not answer.",
            hint="Check the network and the proxy (HTTPS_PROXY); a browser may show more: " + first,
            details=reason(error),
            doctor=True,
        ) from error
    return tags


def _get(session: Session, url: str, reference: ImageReference) -> Response:
    """Asks; if the registry wants to know who asks, once more with a token, or as the docker command's user."""
    answer = session.get(url, timeout=_TIMEOUT_SECONDS)
    if answer.status_code == 401:
        scheme, _, rest = answer.headers.get("WWW-Authenticate", "").partition(" ")
        if scheme.lower() == "bearer":
            session.headers["Authorization"] = f"Bearer {_token(session, rest, reference)}"
        elif credentials := _credentials(reference):
            session.auth = credentials
        answer = session.get(url, timeout=_TIMEOUT_SECONDS)
    if answer.status_code in (401, 403):
        raise ImageError(
            f"The registry {reference.registry} does not show {reference.path} to this user, or does not have it.",
            hint="Check the name; for a private one log in first: docker login",
        )
    if answer.status_code == 404:
        raise ImageError(
            f"The registry {reference.registry} has no repository {reference.path}.",
            hint="Look the name up: https://hub.docker.com/r/tensorflow/serving/tags",
        )
    answer.raise_for_status()
    return answer


def _token(session: Session, challenge: str, reference: ImageReference) -> str:
    """Gets a token from whom the registry trusts; the empty one when that gives none."""
    from requests.utils import parse_dict_header

    wanted = parse_dict_header(challenge)  # type: ignore[no-untyped-call]
    realm = str(wanted.pop("realm", ""))
    safe = realm.startswith("https://") or _is_loopback(urlsplit(realm).netloc)
    credentials = _credentials(reference) if safe else None
    answer = session.get(realm, params=wanted, auth=credentials, timeout=_TIMEOUT_SECONDS)
    if not answer.ok:
        return ""
    data = _json(answer)
    return str(data.get("token") or data.get("access_token") or "") if isinstance(data, dict) else ""


def _credentials(reference: ImageReference) -> tuple[str, str] | None:
    """The user and password that the docker command has for a registry."""
    import docker.auth
    from docker.errors import DockerException

    try:
        found = docker.auth.resolve_authconfig(docker.auth.load_config(), reference.registry) or {}
    except DockerException:  # its credential store does not answer
        return None
    user, password = found.get("username"), found.get("password")
    return (user, password) if user and password else None


def _tags_in(answer: Response, reference: ImageReference) -> list[str]:
    data = _json(answer)
    if not isinstance(data, dict) or not isinstance(data.get("tags"), list | None):  # null when nothing is in it
        raise ImageError(
            f"What answers at {reference.registry} is no registry.", hint="Check the name, and a proxy on the way."
        )
    return [tag for tag in data["tags"] or () if isinstance(tag, str) and is_tag(tag)]


def _json(answer: Response) -> object:
    try:
        return answer.json()
    except ValueError:
        return None


def _is_loopback(netloc: str) -> bool:
    host = urlsplit(f"//{netloc}").hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
