"""The tenants' secrets: kept in memory for a while, refreshed with restraint, and what each provider's say.

Guarantee: a secret's content is in no error, log line or `repr` that comes from here.

    C1  A secret is fetched at most once per `ttl_seconds`, but for refreshes.
    C2  A refresh, asked for by a signature that failed, happens at most once per secret and `refresh_seconds`, whether
        it succeeds or not: forged requests cannot make us fetch without end.
    C3  A secret that was fetched a moment ago is not refreshed: that would tell nothing new.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

from chalicelib.clock import Clock, Deadline
from chalicelib.errors import Code, Misconfigured

REFS_MAX = 10_000
"""How many secrets are kept; beyond that the one that was kept first is forgotten."""

FRESH_SECONDS = 1.0
"""Age below which a secret counts as fetched in this very request."""


class Fetch(Protocol):
    """Where secrets come from."""

    def within(self, deadline: Deadline) -> Fetch:
        """The same source, whose calls are refused once `deadline` has passed."""

    def fetch(self, ref: str) -> str:
        """The text of the secret that `ref` names.

        Raises:
            TryAgain: `SECRET_FETCH_TRANSIENT_ERROR`; throttled, unreachable or too late.
            Misconfigured: `SECRET_FETCH_FAILED`; no such secret, no right to it, or a binary one.
        """


@dataclass(frozen=True)
class _Kept:
    """One secret in memory; instants in seconds of the clock's `monotonic()`."""

    text: str = field(repr=False)
    fetched_at: float
    refreshed_at: float | None = None
    """When a refresh was last begun."""


class CredentialCache:
    """Secrets by reference; ignorant of what they hold. May be used by several threads."""

    def __init__(self, fetch: Fetch, clock: Clock, *, ttl_seconds: float, refresh_seconds: float) -> None:
        self._fetch = fetch
        self._clock = clock
        self._ttl_seconds = ttl_seconds
        self._refresh_seconds = refresh_seconds
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()  # around changes of the dictionary, never around a fetch

    def get(self, ref: str, deadline: Deadline) -> str:
        """The secret's text, at most `ttl_seconds` old.

        Raises:
            TryAgain: as `Fetch.fetch`.
            Misconfigured: as `Fetch.fetch`.
        """
        kept = self._kept.get(ref)
        if kept is not None and self._age(kept.fetched_at) < self._ttl_seconds:  # C1
            return kept.text
        return self._fetched(ref, deadline)

    def refresh(self, ref: str, deadline: Deadline) -> str | None:
        """The secret's text, fetched anew; None where it was refreshed lately or fetched a moment ago.

        Raises:
            TryAgain: as `Fetch.fetch`.
            Misconfigured: as `Fetch.fetch`.
        """
        return self._fetched(ref, deadline) if self._may_refresh(ref) else None

    def _may_refresh(self, ref: str) -> bool:
        with self._lock:
            kept = self._kept.get(ref)
            if kept is None:
                return True
            if self._age(kept.fetched_at) < FRESH_SECONDS:  # C3
                return False
            if kept.refreshed_at is not None and self._age(kept.refreshed_at) < self._refresh_seconds:  # C2
                return False
            self._kept[ref] = replace(kept, refreshed_at=self._clock.monotonic())
            return True

    def _fetched(self, ref: str, deadline: Deadline) -> str:
        text = self._fetch.within(deadline).fetch(ref)
        with self._lock:
            before = self._kept.pop(ref, None)
            refreshed_at = before.refreshed_at if before is not None else None
            self._kept[ref] = _Kept(text, self._clock.monotonic(), refreshed_at)
            if len(self._kept) > REFS_MAX:
                del self._kept[next(iter(self._kept))]
        return text

    def _age(self, instant: float) -> float:
        return self._clock.monotonic() - instant


@dataclass(frozen=True)
class TwilioCredentials:
    """What one tenant's Twilio secret says."""

    account_sid: str
    auth_token: str = field(repr=False)
    next_auth_token: str | None = field(default=None, repr=False)
    """The token that will sign once it is promoted; verifies from now on."""
    api_key: str | None = field(default=None, repr=False)
    """For sending, together with `api_secret`."""
    api_secret: str | None = field(default=None, repr=False)

    @property
    def login(self) -> tuple[str, str]:
        """User and password for the API: the key where there is one, else the account itself."""
        if self.api_key and self.api_secret:
            return self.api_key, self.api_secret
        return self.account_sid, self.auth_token

    @property
    def tokens(self) -> tuple[str, ...]:
        """The tokens that may have signed a request, the current one first."""
        return (self.auth_token,) if self.next_auth_token is None else (self.auth_token, self.next_auth_token)

    @classmethod
    def from_secret(cls, text: str) -> TwilioCredentials:
        """The credentials that a secret's JSON tells; fields of other names are left alone.

        Raises:
            Misconfigured: `SECRET_FETCH_FAILED`; the detail names the field that is missing or malformed.
        """
        secret = _Secret.parse("Twilio", text)
        return cls(
            account_sid=secret.required("account_sid"),
            auth_token=secret.required("auth_token"),
            next_auth_token=secret.optional("next_auth_token"),
            api_key=secret.optional("api_key"),
            api_secret=secret.optional("api_secret"),
        )


@dataclass(frozen=True)
class SendGridCredentials:
    """What one tenant's SendGrid secret says."""

    public_key: str | None = None
    """Of the security policy that signs webhooks."""
    next_public_key: str | None = None
    """The key that will sign once it is exchanged; verifies from now on."""
    url_token: str | None = field(default=None, repr=False)
    """The word in the webhook's URL, where the company's plan has no signing."""
    api_key: str | None = field(default=None, repr=False)
    """For sending."""

    @property
    def public_keys(self) -> tuple[str, ...]:
        """The keys that may have signed a request, the current one first."""
        return tuple(key for key in (self.public_key, self.next_public_key) if key is not None)

    @classmethod
    def from_secret(cls, text: str) -> SendGridCredentials:
        """The credentials that a secret's JSON tells; fields of other names are left alone.

        Raises:
            Misconfigured: `SECRET_FETCH_FAILED`; the detail names the field that is malformed.
        """
        secret = _Secret.parse("SendGrid", text)
        return cls(**{one.name: secret.optional(one.name) for one in fields(cls)})


@dataclass(frozen=True, repr=False)
class _Secret:
    """A secret's fields."""

    provider: str
    document: dict[str, Any]

    @classmethod
    def parse(cls, provider: str, text: str) -> _Secret:
        try:
            document = json.loads(text)
        except ValueError:
            # Not chained: the parser's error carries the secret's text.
            raise Misconfigured(Code.SECRET_FETCH_FAILED, f"a {provider} secret is no JSON") from None
        if not isinstance(document, dict):
            raise Misconfigured(Code.SECRET_FETCH_FAILED, f"a {provider} secret is no JSON object")
        return cls(provider, document)

    def required(self, name: str) -> str:
        text = self.optional(name)
        if text is None:
            raise Misconfigured(Code.SECRET_FETCH_FAILED, f"a {self.provider} secret has no {name}")
        return text

    def optional(self, name: str) -> str | None:
        """The text of a field; None where it is missing, null or empty."""
        value = self.document.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise Misconfigured(Code.SECRET_FETCH_FAILED, f"{name} of a {self.provider} secret is no text")
        return value
