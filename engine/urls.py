"""URLs of stores and videos: which are read, by which library, and what errors may say of them."""

import contextlib
import hashlib
import logging
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engine.errors import InvalidInput, SprError, Unavailable
from engine.files import refusal_of

SCHEMES = ("s3", "gs", "gcs", "az", "abfs", "sftp", "memory")
# A store that is away is found so in seconds: what waits for it tries again by itself.
_SETTINGS: dict[str, dict[str, Any]] = {
    "s3": {
        "config_kwargs": {"connect_timeout": 5, "read_timeout": 30, "retries": {"max_attempts": 2}},
        "use_listings_cache": False,
    }
}
_SECRET = re.compile(r"(?<=://)[^/@\s]+@|(?<=[?&])[^=&\s]+=[^&\s\"')]+")
EXTRA = 'install it with: pip install "spr-engine[remote]"'
# What the extra does not hold.
_LIBRARIES = {"gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "sftp": "paramiko"}


def check_url(location: str, schemes: Sequence[str]) -> None:
    """Refuse (InvalidInput) a URL of another scheme, and one that holds a secret: it would be in logs."""
    scheme = location.partition("://")[0]
    if scheme not in schemes:
        known = ", ".join(f"{one}://" for one in schemes)
        raise InvalidInput(f"{without_secrets(location)} is no fsspec URL that is known here: use {known}.")
    try:
        parts = urlsplit(location)
    except ValueError as error:
        raise InvalidInput(f"{without_secrets(location)} is no URL ({error}).") from None
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise InvalidInput(
            f"{without_secrets(location)} may hold no name, password or query, which would be kept and "
            "shown: give credentials as the environment or the configuration of the store's library."
        )


def without_secrets(text: str) -> str:
    """Return a text without what URLs in it say of credentials: names before @, values of queries."""
    return _SECRET.sub("", text)


def file_system(scheme: str, location: str) -> Any:
    """Return fsspec's file system of a scheme; InvalidInput where its library is not installed."""
    # They log each request: its headers are credentials.
    for library in ("botocore", "aiobotocore", "s3fs", "fsspec", "urllib3"):
        logging.getLogger(library).setLevel(logging.WARNING)
    try:
        import fsspec

        return fsspec.filesystem(scheme, **_SETTINGS.get(scheme, {}))
    except ImportError as error:
        also = f" {_LIBRARIES[scheme]}" if scheme in _LIBRARIES else ""
        raise InvalidInput(f"{location} needs a library ({error}): {EXTRA}{also}.") from None
    except ValueError as error:
        raise InvalidInput(
            f"{location} cannot be used ({without_secrets(str(error))}): name a directory or an fsspec URL."
        ) from None


@contextlib.contextmanager
def told(name: str, target: Path | None = None) -> Iterator[None]:
    """Make what a file system's library raises a sentence about `name`. target: what is written here.

    FileNotFoundError and FileExistsError stay; InvalidInput where access is denied, Unavailable
    (STORE_UNAVAILABLE) for all else, refusals of this machine's disk as they are.
    """
    try:
        yield
    except (SprError, FileNotFoundError, FileExistsError):
        raise
    except PermissionError as error:
        raise InvalidInput(f"{name} cannot be used ({reason(error)}): check its credentials.") from None
    except Exception as error:  # each file system has its library's own
        if isinstance(error, OSError) and (refused := refusal_of(error, target)) is not None:
            raise refused from None
        remedy = "give some as the store's library reads them" if "credentials" in str(error) else "try again"
        message = f"{name} cannot be reached ({reason(error)}): {remedy}, what was copied is kept."
        raise Unavailable(message, "STORE_UNAVAILABLE") from None


def reason(error: Exception) -> str:
    """Return what a store's library says, on one line and without credentials."""
    lines = without_secrets(str(error)).split()
    return " ".join(lines) or "no reason given"


def homes(named: Sequence[object], beside: Path, cache: Path) -> tuple[Path, dict[Path, str], list[Path]]:
    """Return the cache, URLs by the directories of their mirrors, and the directories of collections.

    named: directories, relative to `beside`, and URLs. cache: where mirrors lie; empty: the user's own.
    """
    given = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    cache = (beside / cache if cache != Path() else Path(given, "spr").expanduser()).resolve()
    urls, found = dict[Path, str](), list[Path]()
    for one in map(str, named):
        if "://" in one:
            check_url(one, (*SCHEMES, "file"))
            found.append(_mirror_of(cache, one.rstrip("/")))
            urls[found[-1]] = one.rstrip("/")
        else:
            found.append((beside / one).resolve())
    return cache, urls, found


def _mirror_of(cache: Path, url: str) -> Path:
    return cache / f"{url.rpartition('/')[2]}-{hashlib.sha256(url.encode()).hexdigest()[:12]}"
