"""Fetches the media of a message from Twilio, and from nowhere else.

    what the message names --must be a medium of the account--> the API, with its credentials
      --at most two redirects, to hosts where Twilio keeps media, without credentials--> the content

Guarantee: no request goes to an address that a message or an answer chose. The first URL is built from our own base and
the path, which must be a medium of the secret's own account. A redirect is followed by hand, and only under one of the
prefixes below. So no private address can be reached, and only the API receives credentials. Size and type are checked
while the content streams in, undecoded, and the time after each piece.

Imported only where media are copied: `requests` costs the start of a function.

Where Twilio keeps media: the API answers a medium with a redirect. `mms.twiliocdn.com` serves accounts that demand
credentials for media; `media.twiliocdn.com` and Twilio's bucket behind `s3-external-1.amazonaws.com` serve the others.
Twilio's support pages name the first and the last. The second, and the path of the last, are known from other users'
reports of their redirects.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urljoin, urlsplit

import requests
from requests.auth import HTTPBasicAuth
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from chalicelib.channels.connections import Connections
from chalicelib.channels.fetcher import Fetched, NotFetched
from chalicelib.channels.twilio.credentials import API_BASE_URL, TwilioCredentials
from chalicelib.clock import Deadline

Authorize = Callable[[requests.PreparedRequest], requests.PreparedRequest]

KEPT_UNDER: Final = (
    "https://mms.twiliocdn.com/",
    "https://media.twiliocdn.com/",
    "https://s3-external-1.amazonaws.com/media.twiliocdn.com/",
)
"""The prefixes of the URLs that the API may redirect to; each ends behind the host, so that it is that host."""

_REDIRECTS_MAX: Final = 2
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_OK: Final = 200
_ACCOUNT_REFUSED: Final = frozenset({401, 403})
_PIECE_BYTES: Final = 65_536
_MEDIUM = re.compile(r"/2010-04-01/Accounts/(?P<account>\w+)/Messages/\w+/Media/\w+", re.ASCII)
_CLIMBS = re.compile(r"\.\.|%2e", re.IGNORECASE)

logging.getLogger("urllib3").setLevel(logging.INFO)  # its DEBUG lines tell URLs, and a redirect's opens the medium


@dataclass(frozen=True)
class TwilioMedia:
    """Fetches media of any account; see `chalicelib.channels.fetcher.Fetcher`."""

    connect_seconds: float
    read_seconds: float
    base_url: str
    connections: Connections
    kept_under: tuple[str, ...] = KEPT_UNDER

    def fetch(
        self, url: str, secret: str, *, refuse: Callable[[int, str], str | None], deadline: Deadline
    ) -> Fetched | NotFetched:
        credentials = TwilioCredentials.from_secret(secret)
        base_url = self.base_url or credentials.api_base_url
        path = _path_of(url, credentials, base_url)
        if path is None:
            return NotFetched("no medium of the account")
        authorize: Authorize = HTTPBasicAuth(*credentials.login)
        at = base_url + path
        kept_under = (*self.kept_under, *_kept_in(credentials.place))
        try:
            for _ in range(_REDIRECTS_MAX + 1):
                # A third of what is left, for connecting, for the answer and for the last piece of the content.
                wait_max = max(deadline.seconds_left / 3, 0.001)
                with self._get(at, authorize, wait_max) as response:
                    if response.status_code in _ACCOUNT_REFUSED and authorize is not _nobody:
                        return NotFetched(f"status {response.status_code}", is_ours_to_mend=True)
                    if response.status_code not in _REDIRECTS:
                        return _content(response, refuse, replace(deadline, at=deadline.at - wait_max))
                    at = urljoin(at, response.headers.get("Location", ""))
                if _CLIMBS.search(urlsplit(at).path) or not at.startswith(kept_under):
                    return NotFetched("redirected to a host that is not Twilio's")
                authorize = _nobody
            return NotFetched("redirected too often")
        except (RequestException, HTTPError, OSError, ValueError) as error:
            return NotFetched(type(error).__name__)

    def _get(
        self,
        url: str,
        authorize: Authorize,
        wait_max: float,
    ) -> requests.Response:
        return self.connections.get(
            url,
            auth=authorize,
            headers={"Accept-Encoding": "identity"},  # what is packed small could be large
            timeout=(min(self.connect_seconds, wait_max), min(self.read_seconds, wait_max)),
            allow_redirects=False,
            stream=True,
        )


def _path_of(url: str, credentials: TwilioCredentials, base_url: str) -> str | None:
    """The path of a medium of the account on the API; None: the URL is anything else."""
    for base in (API_BASE_URL, credentials.api_base_url, base_url):
        path = url.removeprefix(base)
        medium = _MEDIUM.fullmatch(path)
        if path != url and medium is not None and medium["account"] == credentials.account_sid:
            return path
    return None


def _kept_in(place: str) -> tuple[str, ...]:
    """Where media of a region may be kept beside `KEPT_UNDER`: a guess, for Twilio's documentation names no host."""
    return tuple(f"https://{kind}.{place}twiliocdn.com/" for kind in ("mms", "media")) if place else ()


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Nobody's credentials; told to the library, which would else look for some in a file of the user's."""
    return request


def _content(
    response: requests.Response, refuse: Callable[[int, str], str | None], last_wait: Deadline
) -> Fetched | NotFetched:
    """What a final answer brings, as long as it is wanted and in time.

    No wait for a piece begins after `last_wait`: each may be as long as the request's own.
    """
    if response.status_code != _OK:
        return NotFetched(f"status {response.status_code}")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        return NotFetched("encoded")
    told, length = response.headers.get("Content-Type", ""), response.headers.get("Content-Length", "")
    content = bytearray()
    size = int(length) if length.isascii() and length.isdigit() else 0
    while True:
        problem = refuse(max(size, len(content)), told)
        if problem is not None:
            return NotFetched("refused", problem)
        if last_wait.has_passed:
            return NotFetched("too slow")
        piece = response.raw.read1(_PIECE_BYTES, decode_content=False)  # whatever is there: one wait at most
        if not piece:  # the whole of it, by the length that was told: the library sees to that
            return Fetched(bytes(content), told)
        content += piece
