"""Of the STAND-IN for Twilio: tells the status callbacks of messages, signed, each when it is due. Never shipped."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qsl, urldefrag, urlencode, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from local.requests.signatures import signature, without_fragment

_TIMEOUT_SECONDS = 15
UNREACHABLE = 0
"""In place of an HTTP status: nobody answered."""


@dataclass(frozen=True)
class Callback:
    """One report on one message."""

    url: str
    parameters: Mapping[str, str]
    token: str = field(repr=False)
    """Of the account, which signs it."""


@dataclass(order=True)
class _Due:
    at: float
    number: int
    tell: Callable[[], None] = field(compare=False)


class StatusCallbacks:
    """Does what is due, in the order in which it is due, on a thread of its own."""

    def __init__(self) -> None:
        self._due: list[_Due] = []
        self._numbers = count()
        self._unfinished = 0
        self._is_closed = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
        self._thread.start()

    @property
    def unfinished(self) -> int:
        """How many are still to be told."""
        with self._news:
            return self._unfinished

    def after(self, seconds: float, tell: Callable[[], None]) -> None:
        """Call `tell` in so many seconds."""
        with self._news:
            heapq.heappush(self._due, _Due(time.monotonic() + seconds, next(self._numbers), tell))
            self._unfinished += 1
            self._news.notify_all()

    def wait_until_told(self, seconds: float) -> bool:
        """Whether everything was told within `seconds`."""
        with self._news:
            return self._news.wait_for(lambda: not self._unfinished, seconds)

    def close(self) -> None:
        """Tell nothing more."""
        with self._news:
            self._is_closed = True
            self._news.notify_all()
        self._thread.join(_TIMEOUT_SECONDS)

    def _run(self) -> None:
        while (one := self._next()) is not None:
            one.tell()
            with self._news:
                self._unfinished -= 1
                self._news.notify_all()

    def _next(self) -> _Due | None:
        with self._news:
            while not self._is_closed:
                if self._due and self._due[0].at <= time.monotonic():
                    return heapq.heappop(self._due)
                self._news.wait(max(self._due[0].at - time.monotonic(), 0) if self._due else None)
            return None


def post(callback: Callback) -> int:
    """Post a callback, and again as its URL asks for that; the status of the last answer, or `UNREACHABLE`."""
    wishes = dict(parse_qsl(urlsplit(callback.url).fragment))
    failures = range(HTTPStatus.BAD_REQUEST, 600) if wishes.get("rp") == "all" else ()
    for _ in range(int(wishes.get("rc", 1))):
        status = _post(callback)
        if status != UNREACHABLE and status not in failures:
            return status
    return _post(callback)


def _post(callback: Callback) -> int:
    """Post a callback once, signed as Twilio signs it."""
    request = Request(  # noqa: S310  # the sender of the message named the URL
        without_fragment(callback.url),
        data=urlencode(callback.parameters).encode(),
        headers={
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "User-Agent": "TwilioProxy/1.1",
            "Accept": "*/*",
            "X-Twilio-Signature": signature(callback.url, callback.parameters, callback.token),
        },
    )
    opener: Any = build_opener(ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TIMEOUT_SECONDS) as response:
            return int(response.status)
    except HTTPError as answer:
        with answer:
            return int(HTTPStatus(answer.code))
    except (URLError, TimeoutError, ConnectionError):
        return UNREACHABLE


def send_id_of(url: str | None) -> str:
    """The send id that a part's callback URL names; empty: the part has no callback."""
    return urldefrag(url or "").url.rpartition("/")[2]
