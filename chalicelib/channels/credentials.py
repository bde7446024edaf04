"""The tenants' secrets: cached in memory, with a limit on refreshes.

Guarantee: no error, log line or `repr` from here contains a secret's content.

    C1  A secret is fetched at most once per `ttl_seconds`, except for refreshes.
    C2  A failed signature requests a refresh. A call that the provider refuses as ours to mend (see `refusals.py`) has
        the secret fetched anew by the next `get`. Either happens at most once per secret and `refresh_seconds`,
        whether it succeeds or not, so forged requests cannot cause unlimited fetches.
    C3  A secret that was fetched a moment ago is not refreshed: the result would be the same.
    C4  A permanent failure (no such secret, no right to it) is remembered for `FAILURE_SECONDS`, so requests that name
        the secret cost one call a minute. A temporary failure is not remembered.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from math import inf
from typing import Protocol

from chalicelib.clock import Clock, Deadline
from chalicelib.errors import Code, Misconfigured

REFS_MAX = 10_000
"""How many secrets are kept; beyond that the one that was kept first is forgotten."""


FAILURE_SECONDS = 60.0

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


@dataclass(frozen=True)
class _Failure:
    """Why a secret could not be had."""

    code: Code
    detail: str
    failed_at: float


@dataclass(frozen=True, eq=False, repr=False)
class CredentialCache:
    """Secrets by reference; ignorant of what they hold. May be used by several threads."""

    source: Fetch
    clock: Clock
    ttl_seconds: float = field(kw_only=True)
    refresh_seconds: float = field(kw_only=True)
    _kept: dict[str, _Kept] = field(default_factory=dict, init=False)
    _failed: dict[str, _Failure] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    """Around changes of the dictionaries, never around a fetch."""

    def get(self, ref: str, deadline: Deadline) -> str:
        """The secret's text, at most `ttl_seconds` old.

        Raises:
            TryAgain: as `Fetch.fetch`.
            Misconfigured: as `Fetch.fetch`.
        """
        kept = self._kept.get(ref)
        if kept is not None and self._age(kept.fetched_at) < self.ttl_seconds:  # C1
            return kept.text
        return self._fetched(ref, deadline)

    def refresh(self, ref: str, deadline: Deadline) -> str | None:
        """The secret's text, fetched anew; None where it was refreshed lately or fetched a moment ago.

        Raises:
            TryAgain: as `Fetch.fetch`.
            Misconfigured: as `Fetch.fetch`.
        """
        return self._fetched(ref, deadline) if self._may_refresh(ref) else None

    def forget(self, ref: str) -> None:
        """Have the next `get` fetch the secret anew: a provider has refused it. As seldom as refreshes (C2, C3)."""
        if self._may_refresh(ref):
            with self._lock:
                if (kept := self._kept.get(ref)) is not None:
                    self._kept[ref] = replace(kept, fetched_at=-inf)

    def _may_refresh(self, ref: str) -> bool:
        with self._lock:
            kept = self._kept.get(ref)
            if kept is None:
                return True
            if self._age(kept.fetched_at) < FRESH_SECONDS:  # C3
                return False
            if kept.refreshed_at is not None and self._age(kept.refreshed_at) < self.refresh_seconds:  # C2
                return False
            self._kept[ref] = replace(kept, refreshed_at=self.clock.monotonic())
            return True

    def _fetched(self, ref: str, deadline: Deadline) -> str:
        failed = self._failed.get(ref)
        if failed is not None and self._age(failed.failed_at) < FAILURE_SECONDS:  # C4
            raise Misconfigured(failed.code, failed.detail)
        try:
            text = self.source.within(deadline).fetch(ref)
        except Misconfigured as error:
            with self._lock:
                self._failed.pop(ref, None)
                self._failed[ref] = _Failure(error.code, error.detail, self.clock.monotonic())
                if len(self._failed) > REFS_MAX:
                    del self._failed[next(iter(self._failed))]
            raise
        with self._lock:
            self._failed.pop(ref, None)
            before = self._kept.pop(ref, None)
            refreshed_at = before.refreshed_at if before is not None else None
            self._kept[ref] = _Kept(text, self.clock.monotonic(), refreshed_at)
            if len(self._kept) > REFS_MAX:
                del self._kept[next(iter(self._kept))]
        return text

    def _age(self, instant: float) -> float:
        return self.clock.monotonic() - instant
