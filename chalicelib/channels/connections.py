"""The connections to providers: one TLS context and one pool for each host, for as long as the process lives.

    new     no connection to the host, or none that was used within the last seconds -> connect
    reused  the connection was used just now                                         -> write

Guarantee: a request is written to a reused connection only if the connection was used `REUSED_WITHIN_SECONDS` ago or
less. A process is paused between two events, and a peer or a gateway on the way forgets a connection that was idle.
What is written to such a connection is lost without proof, and a send without proof stays in doubt. A connection whose
end has been read is never reused: urllib3 looks before it writes, and connects anew.

One session serves every company, so it keeps no cookies. Only the functions that send or copy media import this module.
"""

from __future__ import annotations

import ssl
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import urlsplit

from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.util.ssl_ import create_urllib3_context

from chalicelib.clock import Clock

REUSED_WITHIN_SECONDS: Final = 3.0
"""Servers keep an idle connection for five seconds at least, as far as their makers' defaults tell."""


class Connections(Session):
    """A session of `requests` that any thread and any company may use."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.mount("https://", _Adapter())
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        self._clock = clock
        self._used_at: dict[str, tuple[float, float]] = {}
        """By host: the last use, by both clocks of this machine."""

    def send(self, request: PreparedRequest, **options: Any) -> Response:
        """Send a request once, over a connection that was used just now or a new one."""
        host = urlsplit(str(request.url)).netloc
        if self._idle_seconds(host) > REUSED_WITHIN_SECONDS:
            self.close()  # the pools of all hosts: the next requests connect anew
        try:
            return super().send(request, **options)
        finally:
            self._used_at[host] = self._now()

    def _idle_seconds(self, host: str) -> float:
        """How long a host was not asked anything, by the clock that says longer: one may stand still in a pause."""
        now = self._now()
        return max(now_at - used_at for now_at, used_at in zip(now, self._used_at.get(host, now), strict=True))

    def _now(self) -> tuple[float, float]:
        return self._clock.monotonic(), self._clock.now().timestamp()


class _Adapter(HTTPAdapter):
    """Has every connection verified by one context; `requests` reads the certificate authorities for each."""

    def __init__(self) -> None:
        self._context = create_urllib3_context()
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
        super().__init__()

    def build_connection_pool_key_attributes(
        self, request: PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The context, unless the environment names other authorities."""
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {**pool, "ssl_context": self._context} if verify is True else pool

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Name the authorities to a pool that has no context."""
        if verify is not True:
            super().cert_verify(conn, url, verify, cert)
