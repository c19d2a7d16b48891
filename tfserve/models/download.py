"""Downloads an archive over HTTP: exactly the published bytes, completely or not at all, and not endlessly slowly."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urljoin

from tfserve.errors import Attribute, SavedModelError, Wording, is_caused_by
from tfserve.host.deadline import MinimumSpeed, Speed, TimedResponse, TooMuchError
from tfserve.models.cache import CacheValidators, cache_errors, cache_root
from tfserve.models.extract import SIZE_VARIABLE
from tfserve.models.url import Url
from tfserve.progress import Progress

if TYPE_CHECKING:
    from requests import Response

__all__ = ["UnreachableError", "download"]

_CHUNK_BYTES = 2**20
SPEED = Speed()
_CONNECT_SECONDS = 10.0  # for each address of the host
_HEAD_SECONDS = 60.0  # of the response and all redirects to it
_HEAD_BYTES = 2**20
_MAX_ETAG = 1000
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
    url: Url, target: BinaryIO, *, known: CacheValidators | None, only_secure: bool, limit: int, progress: Progress
) -> CacheValidators | None:
    """Downloads `url` to the open file `target`.

    The user and password in the address, or else those in ``~/.netrc``, are sent to its host; proxies and certificates
    are taken from the environment, as ``requests`` does.

    Args:
        url: the address of the archive.
        target: the file to write, which is empty.
        known: the validators of the copy in the cache; None to download the archive unconditionally.
        only_secure: whether to refuse redirects to addresses without encryption.
        limit: the maximum size in bytes.
        progress: receives the progress.

    Returns:
        The digest and validators of the archive; None if it has not changed since `known`.

    Raises:
        UnreachableError: the server did not respond, was too slow, or the connection was lost.
        SavedModelError: the server did not send the file.
        TfserveError: the cache cannot be written.
    """
    import requests

    from tfserve.host.http_adapter import TimedAdapter

    headers = {"Accept-Encoding": "identity"}  # published digests are those of the archive itself
    if known is not None and known.etag:
        headers["If-None-Match"] = known.etag
    elif known is not None and known.last_modified:
        headers["If-Modified-Since"] = known.last_modified
    hooks = {"response": partial(_check_redirect, only_secure=only_secure)}
    limits = MinimumSpeed(_HEAD_SECONDS, _HEAD_BYTES, SPEED)
    timeout = (_CONNECT_SECONDS, _HEAD_SECONDS)
    with _download_errors(url), requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, TimedAdapter(partial(TimedResponse, deadline=limits)))
        with session.get(url, headers=headers, stream=True, timeout=timeout, hooks=hooks) as response:
            if response.status_code == _NOT_MODIFIED and known is not None:
                return None
            _check_status(url, response)
            limits.begin_body()
            digest = _save(url, response, target, limit, progress)
            return CacheValidators(digest, _validator(response, "ETag"), _validator(response, "Last-Modified"))


def _save(url: Url, response: Response, target: BinaryIO, limit: int, progress: Progress) -> str:
    """Writes the body to `target` and returns its digest."""
    length = response.headers.get("Content-Length", "")
    total = int(length) if length.isascii() and length.isdigit() and len(length) < 20 else None
    if total is not None and total > limit:
        raise _too_large(url, limit)
    digest = hashlib.sha256()
    done = 0
    with progress.copying(f"Downloading {url.shown}", total) as on_progress:
        while piece := response.raw.read(_CHUNK_BYTES, decode_content=False):
            done += len(piece)
            if done > limit:
                raise _too_large(url, limit)
            digest.update(piece)
            with cache_errors(cache_root()):
                target.write(piece)
            on_progress(done)
        with cache_errors(cache_root()):
            target.flush()
    if total is not None and done < total:
        raise UnreachableError(
            f"The connection to {url.shown} was lost after {done:,} of {total:,} bytes.",
            hint="Try again; the download starts from the beginning.",
        )
    return digest.hexdigest()


def _validator(response: Response, name: str) -> str | None:
    value = response.headers.get(name)
    return value if value and len(value) <= _MAX_ETAG and value.isprintable() else None


def _check_status(url: Url, response: Response) -> None:
    if response.status_code == 200:
        return
    code = response.status_code
    known = f": {_REASONS[code]}" if code in _REASONS else ""
    raise SavedModelError(
        f"The model cannot be downloaded from {url.shown}{known} (HTTP {code}).",
        hint="Log in with https://USER:PASSWORD@…, or add an entry for the host to ~/.netrc."
        if code in _UNAUTHORIZED
        else "Check the address in a browser.",
    )


def _check_redirect(response: Response, *, only_secure: bool, **_: Any) -> None:
    if not response.is_redirect:
        return
    response.raw.headers.discard("Content-Encoding")  # requests reads the body, and would decompress it
    if not only_secure:
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
        f"{url.shown} is larger than the limit of {limit:,} bytes.",
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
            f"The certificate of {url.shown} could not be verified.",
            hint="Behind a proxy with its own certificate authority: export REQUESTS_CA_BUNDLE=/path/ca.pem",
        ) from None
    except requests.exceptions.TooManyRedirects:
        raise SavedModelError(f"{url.shown} redirects too often.", hint="Check the address in a browser.") from None
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema):
        raise SavedModelError(f"{url.shown} is not a valid address.", hint="Check it in a browser.") from None
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError):
        raise _too_slow(url) from None
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, TooMuchError) as error:
        if is_caused_by(error, TimeoutError):
            raise _too_slow(url) from None
        if is_caused_by(error, TooMuchError):
            raise SavedModelError(
                f"The headers and redirects of {url.shown} are larger than {_HEAD_BYTES:,} bytes.",
                hint="Check the address in a browser.",
            ) from None
        raise UnreachableError(
            f"{url.shown} cannot be reached, or the connection was lost.",
            hint="Check the network and the address, then try again.",
        ) from None
    except ValueError:  # an address of a redirect, or text in it, that cannot be encoded
        raise SavedModelError(
            f"{url.shown} is not a valid address, or redirects to one that is not.", hint="Check it in a browser."
        ) from None


def _too_slow(url: Url) -> UnreachableError:
    return UnreachableError(
        f"{url.shown} did not respond in time, or sends its data too slowly.",
        hint="Try again later, or download the archive with another program and give the file.",
    )
