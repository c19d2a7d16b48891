"""Lists the tags of a repository in a registry, with the API of the OCI distribution specification.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags,
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from tfserve.addresses import is_this_machine
from tfserve.client.json_document import read_json
from tfserve.engines.docker.config import RegistryCredentials, check_config, find_registry_credentials
from tfserve.engines.docker.pull import how_to_log_in
from tfserve.errors import ImageError, is_caused_by, reason
from tfserve.host.deadline import Deadline, TimedResponse, TooMuchError
from tfserve.spec.image import HUB, HUB_HOST, ImageReference, is_tag

if TYPE_CHECKING:
    from requests import Response, Session

__all__ = ["remote_tags"]

_TIMEOUT_SECONDS = 20.0
_PAGE = 1000
_PAGES_AT_MOST = 100
_WHOLE_SECONDS = 120.0
_MAX_BYTES = 16 * 2**20


def remote_tags(reference: ImageReference, mirrors: Sequence[str] = ()) -> list[str]:
    """Lists the tags of a repository, in the order of its registry.

    Args:
        reference: the repository; its tag is ignored. The credentials are those of the docker command.
        mirrors: the registry mirrors to try first, as the engine does, for a repository on Docker Hub.

    Raises:
        ImageError: the repository does not exist, this user has no access, or the registry does not respond.
        EngineUnavailableError: the docker command's configuration is invalid.
    """
    on_hub = reference.registry == HUB
    for mirror in mirrors if on_hub else ():
        with suppress(ImageError):  # the engine also tries the next one
            return _Repository(mirror.rstrip("/"), urlsplit(mirror).netloc, reference.path, is_mirror=True).tags()
    host = HUB_HOST if on_hub else reference.registry
    scheme = "http" if is_this_machine(urlsplit(f"//{host}").hostname or "") else "https"  # like the Docker Engine
    return _Repository(f"{scheme}://{host}", reference.registry, reference.path).tags()


@dataclass(frozen=True)
class _Repository:
    """A repository in a registry: the address of the API, the usual name of the registry, and the name there."""

    address: str
    registry: str
    path: str
    is_mirror: bool = False

    def tags(self) -> list[str]:
        """Lists its tags; errors are those of `remote_tags`."""
        import requests

        from tfserve.host.http_adapter import TimedAdapter

        first = f"{self.address}/v2/{self.path}/tags/list?n={_PAGE}"
        tags: list[str] = []
        try:
            with requests.Session() as session:
                for scheme in ("http://", "https://"):
                    session.mount(scheme, TimedAdapter(_response))
                session.headers["Accept-Encoding"] = "identity"
                session.hooks["response"].append(_keep_encoded)
                url: str | None = first
                end = time.monotonic() + _WHOLE_SECONDS
                for _ in range(_PAGES_AT_MOST):
                    if time.monotonic() > end:
                        raise TimeoutError
                    if url is None or urlsplit(url).netloc != urlsplit(first).netloc:
                        break
                    answer = self._get(session, url)
                    tags += _tags_in(answer, self.registry)
                    following = answer.links.get("next", {}).get("url")
                    url = urljoin(url, following) if following else None
        except (requests.RequestException, TimeoutError, TooMuchError, ValueError) as error:
            if is_caused_by(error, TooMuchError):
                raise ImageError(
                    f"The registry {self.registry} sends more data than the list of the tags of a repository has.",
                    hint="Check the name, and whether a proxy in between responds instead.",
                ) from error
            timeout = isinstance(error, requests.Timeout) or is_caused_by(error, TimeoutError)
            raise ImageError(
                f"The registry {self.registry} does not respond.",
                hint="Check the network and the proxy (HTTPS_PROXY); a browser may show details: " + first,
                details=f"timeout after {_TIMEOUT_SECONDS:g} s" if timeout else reason(error),
                doctor=True,
            ) from error
        return tags

    def _get(self, session: Session, url: str) -> Response:
        """Sends a request; if the registry requires it, repeats it with a token or the docker command's credentials."""
        # A mirror is close to the engine, which reaches it without this user's proxy.
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
                f"The registry {self.registry} denies this user access to {self.path}, or does not have it.",
                hint=log_in if failure else f"Check the name; for a private repository, log in first: {log_in}",
            )
        if answer.status_code == 404:
            on_hub = self.registry == HUB
            raise ImageError(
                f"The registry {self.registry} has no repository {self.path}.",
                hint=f"Check the name: https://hub.docker.com/r/{self.path}/tags" if on_hub else "Check the name.",
            )
        if not answer.ok:
            raise ImageError(
                f"The registry {self.registry} responded with {answer.status_code} {answer.reason}".rstrip() + ".",
                hint="Try again later. If the error persists, check the logs of the registry or of a proxy in between.",
            )
        return answer


def _token(session: Session, challenge: str, credentials: RegistryCredentials) -> str:
    """Requests a token from the registry's authorization service; empty if there is none."""
    from requests.utils import parse_dict_header

    wanted = parse_dict_header(challenge)  # type: ignore[no-untyped-call]
    realm = str(wanted.pop("realm", ""))
    safe = realm.startswith("https://") or is_this_machine(urlsplit(realm).hostname or "")
    user = _user(credentials) if safe else None
    answer = session.get(realm, params=wanted, auth=user, timeout=_TIMEOUT_SECONDS)
    if not answer.ok:
        return ""
    data = _json(answer)
    return str(data.get("token") or data.get("access_token") or "") if isinstance(data, dict) else ""


def _user(credentials: RegistryCredentials) -> tuple[str, str] | None:
    """Returns the user name and password, if there are any; credential helpers capitalize these keys."""
    user, password = (
        credentials.sent.get(key) or credentials.sent.get(key.title()) for key in ("username", "password")
    )
    return (user, password) if user and password else None


def _tags_in(answer: Response, registry: str) -> list[str]:
    data = _json(answer)
    if not isinstance(data, dict) or not isinstance(data.get("tags"), list | None):  # null for an empty repository
        raise ImageError(
            f"{registry} is not a registry.", hint="Check the name, and whether a proxy in between responds instead."
        )
    return [tag for tag in data["tags"] or () if isinstance(tag, str) and is_tag(tag)]


def _json(answer: Response) -> object:
    try:
        return read_json(answer.content)
    except ValueError:
        return None


def _response(connected: socket.socket, **options: Any) -> TimedResponse:
    return TimedResponse(connected, deadline=Deadline(_TIMEOUT_SECONDS, _MAX_BYTES), **options)


def _keep_encoded(response: Response, **_: object) -> None:
    """Keeps requests from decompressing a body, which could have any size; it is then not JSON."""
    response.raw.headers.discard("Content-Encoding")
