"""Asks a registry which tags a repository has, over the API of the OCI distribution specification.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags,
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from tfserve.addresses import is_loopback
from tfserve.engines.docker.config import RegistryCredentials, check_config, find_registry_credentials
from tfserve.engines.docker.pull import how_to_log_in
from tfserve.errors import ImageError, reason
from tfserve.spec.image import HUB, HUB_HOST, ImageReference, is_tag

if TYPE_CHECKING:
    from requests import Response, Session

__all__ = ["remote_tags"]

_TIMEOUT_SECONDS = 20.0
_PAGE = 1000
_PAGES_AT_MOST = 100


def remote_tags(reference: ImageReference, mirrors: Sequence[str] = ()) -> list[str]:
    """Lists the tags of a repository, in the order of its registry.

    Args:
        reference: the repository; its tag does not matter. Credentials are those of the docker command.
        mirrors: the addresses of registries to ask first, as the engine does, for a repository of Docker Hub.

    Raises:
        ImageError: the registry does not know it, does not show it to this user, or does not answer.
        EngineUnavailableError: the docker command's configuration is none.
    """
    on_hub = reference.registry == HUB
    for mirror in mirrors if on_hub else ():
        with suppress(ImageError):  # the engine asks the next one then, too
            return _Repository(mirror.rstrip("/"), urlsplit(mirror).netloc, reference.path, is_mirror=True).tags()
    host = HUB_HOST if on_hub else reference.registry
    scheme = "http" if is_loopback(urlsplit(f"//{host}").hostname or "") else "https"  # as the Docker Engine has it
    return _Repository(f"{scheme}://{host}", reference.registry, reference.path).tags()


@dataclass(frozen=True)
class _Repository:
    """A repository of a registry: the address to ask, the registry as people call it, and the name there."""

    address: str
    registry: str
    path: str
    is_mirror: bool = False

    def tags(self) -> list[str]:
        """Lists its tags; errors are those of `remote_tags`."""
        import requests

        first = f"{self.address}/v2/{self.path}/tags/list?n={_PAGE}"
        tags: list[str] = []
        try:
            with requests.Session() as session:
                url: str | None = first
                for _ in range(_PAGES_AT_MOST):
                    if url is None or urlsplit(url).netloc != urlsplit(first).netloc:
                        break
                    answer = self._get(session, url)
                    tags += _tags_in(answer, self.registry)
                    following = answer.links.get("next", {}).get("url")
                    url = urljoin(url, following) if following else None
        except requests.RequestException as error:
            hangs = isinstance(error, requests.Timeout)
            raise ImageError(
                f"The registry {self.registry} does not answer.",
                hint="Check the network and the proxy (HTTPS_PROXY); a browser may show more: " + first,
                details=f"no answer within {_TIMEOUT_SECONDS:g} s" if hangs else reason(error),
                doctor=True,
            ) from error
        return tags

    def _get(self, session: Session, url: str) -> Response:
        """Asks; if the registry wants to know who asks, once more with a token, or as the docker command's user."""
        # A mirror is near the engine, which goes there without this user's proxy.
        direct = {"no_proxy": urlsplit(url).hostname or ""} if self.is_mirror else None
        answer = session.get(url, timeout=_TIMEOUT_SECONDS, proxies=direct)
        failure = ""
        if answer.status_code == 401:
            check_config()
            credentials = find_registry_credentials(self.registry)
            failure = credentials.failure
            scheme, _, rest = answer.headers.get("WWW-Authenticate", "").partition(" ")
            if scheme.lower() == "bearer":
                session.headers["Authorization"] = f"Bearer {_token(session, rest, credentials)}"
            else:
                session.auth = _user(credentials)
            answer = session.get(url, timeout=_TIMEOUT_SECONDS, proxies=direct)
        if answer.status_code in (401, 403):
            log_in = how_to_log_in(self.registry, failure)
            raise ImageError(
                f"The registry {self.registry} does not show {self.path} to this user, or does not have it.",
                hint=log_in if failure else f"Check the name; for a private one log in first: {log_in}",
            )
        if answer.status_code == 404:
            on_hub = self.registry == HUB
            raise ImageError(
                f"The registry {self.registry} has no repository {self.path}.",
                hint=f"Look the name up: https://hub.docker.com/r/{self.path}/tags" if on_hub else "Check the name.",
            )
        if not answer.ok:
            raise ImageError(
                f"The registry {self.registry} answers {answer.status_code} {answer.reason}".rstrip() + ".",
                hint="Try again later. If it stays so, whoever runs it, or a proxy on the way, knows why.",
            )
        return answer


def _token(session: Session, challenge: str, credentials: RegistryCredentials) -> str:
    """Gets a token from whom the registry trusts; the empty one when that gives none."""
    from requests.utils import parse_dict_header

    wanted = parse_dict_header(challenge)  # type: ignore[no-untyped-call]
    realm = str(wanted.pop("realm", ""))
    safe = realm.startswith("https://") or is_loopback(urlsplit(realm).hostname or "")
    user = _user(credentials) if safe else None
    answer = session.get(realm, params=wanted, auth=user, timeout=_TIMEOUT_SECONDS)
    if not answer.ok:
        return ""
    data = _json(answer)
    return str(data.get("token") or data.get("access_token") or "") if isinstance(data, dict) else ""


def _user(credentials: RegistryCredentials) -> tuple[str, str] | None:
    """The user and the password, if that is what there is; a helper's names for them begin with a capital."""
    user, password = (
        credentials.sent.get(key) or credentials.sent.get(key.title()) for key in ("username", "password")
    )
    return (user, password) if user and password else None


def _tags_in(answer: Response, registry: str) -> list[str]:
    data = _json(answer)
    if not isinstance(data, dict) or not isinstance(data.get("tags"), list | None):  # null when nothing is in it
        raise ImageError(f"What answers at {registry} is no registry.", hint="Check the name, and a proxy on the way.")
    return [tag for tag in data["tags"] or () if isinstance(tag, str) and is_tag(tag)]


def _json(answer: Response) -> object:
    try:
        return answer.json()
    except ValueError:
        return None
