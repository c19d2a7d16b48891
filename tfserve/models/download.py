"""Downloads an archive over HTTP: exactly the published bytes, completely or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from tfserve.errors import Attribute, SavedModelError, Wording
from tfserve.models.cache import CacheValidators, cache_errors
from tfserve.models.extract import SIZE_VARIABLE
from tfserve.models.url import Url
from tfserve.progress import Progress

if TYPE_CHECKING:
    from requests import Response

__all__ = ["UnreachableError", "download"]

_CHUNK_BYTES = 2**20
_TIMEOUT_SECONDS = (10.0, 60.0)  # for connecting, and between two pieces
_NOT_MODIFIED = 304
_REASONS = {
    401: "login required",
    403: "access denied",
    404: "not found",
    410: "no longer available",
    429: "too many requests",
}
_UNAUTHORIZED = (401, 403)


class UnreachableError(SavedModelError):
    """The server did not respond, or the connection was lost."""


def download(
    url: Url, target: Path, *, known: CacheValidators | None, only_secure: bool, limit: int, progress: Progress
) -> CacheValidators | None:
    """Downloads `url` to the file `target`.

    The user and password in the address, or else those in ``~/.netrc``, are sent to its host; proxies and certificates
    are taken from the environment, as ``requests`` does.

    Args:
        url: the address of the archive.
        target: the file to write.
        known: the validators of the copy in the cache; None to download the archive unconditionally.
        only_secure: whether to refuse redirects to addresses without encryption.
        limit: the maximum size in bytes.
        progress: receives the progress.

    Returns:
        The digest and validators of the archive; None if it has not changed since `known`.

    Raises:
        UnreachableError: the server did not respond, or the connection was lost.
        SavedModelError: the server did not send the file.
        TfserveError: the cache cannot be written.
    """
    import requests

    headers = {"Accept-Encoding": "identity"}  # published digests are those of the archive itself
    if known is not None and known.etag:
        headers["If-None-Match"] = known.etag
    elif known is not None and known.last_modified:
        headers["If-Modified-Since"] = known.last_modified
    hooks = {"response": _refuse_insecure_redirect} if only_secure else {}
    with (
        _download_errors(url),
        requests.Session() as session,
        session.get(url, headers=headers, stream=True, timeout=_TIMEOUT_SECONDS, hooks=hooks) as response,
    ):
        if response.status_code == _NOT_MODIFIED and known is not None:
            return None
        _check_status(url, response)
        digest = _save(url, response, target, limit, progress)
        return CacheValidators(digest, response.headers.get("ETag"), response.headers.get("Last-Modified"))


def _save(url: Url, response: Response, target: Path, limit: int, progress: Progress) -> str:
    """Writes the body to `target` and returns its digest."""
    length = response.headers.get("Content-Length", "")
    total = int(length) if length.isdigit() else None
    if total is not None and total > limit:
        raise _too_large(url, limit)
    digest = hashlib.sha256()
    done = 0
    with cache_errors(target.parent.parent):
        file = target.open("xb")
    with file, progress.copying(f"Downloading {url.redacted}", total) as on_progress:
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
            f"The connection to {url.redacted} was lost after {done:,} of {total:,} bytes.",
            hint="Try again; the download starts from the beginning.",
        )
    return digest.hexdigest()


def _check_status(url: Url, response: Response) -> None:
    if response.status_code == 200:
        return
    code = response.status_code
    known = f": {_REASONS[code]}" if code in _REASONS else ""
    raise SavedModelError(
        f"The model cannot be downloaded from {url.redacted}{known} (HTTP {code}).",
        hint="Log in with https://USER:PASSWORD@…, or add an entry for the host to ~/.netrc."
        if code in _UNAUTHORIZED
        else "Check the address in a browser.",
    )


def _refuse_insecure_redirect(response: Response, **_: Any) -> None:
    if not response.is_redirect:
        return
    target = Url(urljoin(response.url, response.headers["Location"]))
    if not target.is_secure:
        raise SavedModelError(
            f"{Url(response.url).redacted} redirects to {target.redacted}, where the connection is not encrypted: "
            "anyone on the network could replace the model.",
            hint=Wording(
                "Use an address that redirects to https://, or give the digest of the archive: {digest}",
                digest=Attribute("sha256", "DIGEST"),
            ),
        )


def _too_large(url: Url, limit: int) -> SavedModelError:
    return SavedModelError(
        f"{url.redacted} is larger than the limit of {limit:,} bytes.",
        hint=f"If the model is that large, raise the limit: export {SIZE_VARIABLE}=500",
    )


@contextmanager
def _download_errors(url: Url) -> Iterator[None]:
    import requests
    import urllib3

    try:
        yield
    except requests.exceptions.SSLError:
        raise UnreachableError(
            f"The certificate of {url.redacted} could not be verified.",
            hint="Behind a proxy with its own certificate authority: export REQUESTS_CA_BUNDLE=/path/ca.pem",
        ) from None
    except requests.exceptions.TooManyRedirects:
        raise SavedModelError(f"{url.redacted} redirects too often.", hint="Check the address in a browser.") from None
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, UnicodeError):
        raise SavedModelError(f"{url.redacted} is not a valid address.", hint="Check it in a browser.") from None
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError):
        raise UnreachableError(f"{url.redacted} did not respond in time.", hint="Try again later.") from None
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError):
        raise UnreachableError(
            f"{url.redacted} cannot be reached, or the connection was lost.",
            hint="Check the network and the address, then try again.",
        ) from None
