"""Calls a provider with a tenant's secret. If the provider refuses it, the next call has it fetched anew.

Every call of the engine to a provider goes through `ask`, so a rotated secret does not wait for its time to live. The
cache limits how often a secret is fetched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from chalicelib.channels.credentials import CredentialCache
from chalicelib.channels.fetcher import NotFetched
from chalicelib.channels.sender import TemporaryFailure
from chalicelib.errors import Misconfigured

Told = TypeVar("Told")


def ask(credentials: CredentialCache, ref: str, secret: str, call: Callable[[str], Told]) -> Told:
    """What the provider answers to a call with this secret.

    Args:
        credentials: where the secret is cached.
        ref: the secret's name.
        secret: its text, as `credentials` gave it.
        call: one call to the provider, with the secret's text.

    Raises:
        Misconfigured: as `call`; the secret is forgotten then, too.
    """
    try:
        told = call(secret)
    except Misconfigured:
        credentials.forget(ref)
        raise
    if isinstance(told, TemporaryFailure | NotFetched) and told.is_ours_to_mend:
        credentials.forget(ref)
    return told
