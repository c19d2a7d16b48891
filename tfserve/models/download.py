"""Fetches an archive over HTTP: the bytes as they are published, whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from tfserve.errors import Attribute, SavedModelError, Wording
from tfserve.models.cache import Origin, cache_errors
from tfserve.models.extract import SIZE_VARIABLE
from tfserve.models.url import Url
from tfserve.progress import Progress

if TYPE_CHECKING:
    from requests import Response

__all__ = ["UnreachableError", "download"]

_CHUNK_BYTES = 2**20
_TIMEOUT_SECONDS = (10.0, 60.0)  # to connect; between two pieces
_NOT_MODIFIED = 304
_WHY = {
    401: "asks who you are",
    403: "does not let you have it",
    404: "has no such file",
    410: "has it no more",
    429: "has been asked too often",
}
_UNAUTHORISED = (401, 403)


class UnreachableError(SavedModelError):
    """Nobody answers at the address, or the connection broke."""


def download(
    url: Url, target: Path, *, known: Origin | None, only_safe: bool, limit: int, progress: Progress
) -> Origin | None:
    """Downloads `url` to the file `target`.

    User and password of the address, or else those of ``~/.netrc``, go to its host; proxies and certificates are taken
    from the environment, as ``requests`` does.

    Args:
        url: where the archive is.
        target: the file to write.
        known: what it gave the last time, if that is still there; None to fetch it in any case.
        only_safe: whether it may not lead on to where anybody on the way could change what is read.
        limit: how many bytes it may have.
        progress: told how far it is.

    Returns:
        What it gave; None when that is still what is `known`.

    Raises:
        UnreachableError: nobody answers, or not to the end.
        SavedModelError: the server answers with something else than a file.
        TfserveError: the cache cannot be written.
    """
    import requests

    headers = {"Accept-Encoding": "identity"}  # the archive itself, whose digest people publish
    if known is not None and known.etag:
        headers["If-None-Match"] = known.etag
    elif known is not None and known.last_modified:
        headers["If-Modified-Since"] = known.last_modified
    hooks = {"response": _refuse_unsafe} if only_safe else {}
    with (
        _failures_told(url),
        requests.Session() as session,
        session.get(url, headers=headers, stream=True, timeout=_TIMEOUT_SECONDS, hooks=hooks) as response,
    ):
        if response.status_code == _NOT_MODIFIED and known is not None:
            return None
        _check_status(url, response)
        digest = _save(url, response, target, limit, progress)
        return Origin(digest, response.headers.get("ETag"), response.headers.get("Last-Modified"))


def _save(url: Url, response: Response, target: Path, limit: int, progress: Progress) -> str:
    """Writes the body, and returns its digest."""
    length = response.headers.get("Content-Length", "")
    total = int(length) if length.isdigit() else None
    if total is not None and total > limit:
        raise _too_large(url, limit)
    digest = hashlib.sha256()
    done = 0
    with cache_errors(target.parent.parent):
        file = target.open("xb")
    with file, progress.copying(f"Downloading {url.shown}", total) as on_progress:
        while piece := response.raw.read(_CHUNK_BYTES, decode_content=False):
            done += len(piece)
            if done > limit:
                raise _too_large(url, limit)
            digest.update(piece)
            with cache_errors(target.parent.parent):
                file.write(piece)
            on_progress(done)
        with cache_errors(target.parent.parent):
            file.flush()
    if total is not None and done < total:
        raise UnreachableError(
            f"{url.shown} broke off after {done:,} of {total:,} bytes.", hint="Try again; it starts anew."
        )
    return digest.hexdigest()


def _check_status(url: Url, response: Response) -> None:
    if response.status_code == 200:
        return
    code = response.status_code
    why = _WHY.get(code, "does not send it")
    raise SavedModelError(
        f"The model cannot be downloaded: {url.shown} {why} (HTTP {code}).",
        hint="Log in with https://USER:PASSWORD@…, or with an entry for the host in ~/.netrc."
        if code in _UNAUTHORISED
        else "Check the address in a browser.",
    )


def _refuse_unsafe(response: Response, **_: Any) -> None:
    if not response.is_redirect:
        return
    there = Url(urljoin(response.url, response.headers["Location"]))
    if not there.is_safe:
        raise SavedModelError(
            f"{Url(response.url).shown} leads on to {there.shown}, where anybody on the way could change what is read.",
            hint=Wording(
                "Ask for an https:// address, or say which archive it has to be: {digest}",
                digest=Attribute("sha256", "DIGEST"),
            ),
        )


def _too_large(url: Url, limit: int) -> SavedModelError:
    return SavedModelError(
        f"{url.shown} has more than the {limit:,} bytes that an archive may have.",
        hint=f"If the model needs that much, allow it: export {SIZE_VARIABLE}=500",
    )


@contextmanager
def _failures_told(url: Url) -> Iterator[None]:
    import requests
    import urllib3

    try:
        yield
    except requests.exceptions.SSLError:
        raise UnreachableError(
            f"The certificate of {url.shown} is not to be trusted.",
            hint="Behind a proxy of your own, name its certificate: export REQUESTS_CA_BUNDLE=/path/ca.pem",
        ) from None
    except requests.exceptions.TooManyRedirects:
        raise SavedModelError(f"{url.shown} leads round in a circle.", hint="Check the address in a browser.") from None
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, UnicodeError):
        raise SavedModelError(f"{url.shown} is no address to download from.", hint="Check it in a browser.") from None
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError):
        raise UnreachableError(f"{url.shown} does not answer in time.", hint="Try again later.") from None
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError):
        raise UnreachableError(
            f"{url.shown} cannot be reached, or broke off.", hint="Check the network and the address; try again."
        ) from None
