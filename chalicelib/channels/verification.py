"""Verifies a request with the company's own secret. If a cached secret does not fit, it is refreshed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chalicelib.channels.credentials import CredentialCache
from chalicelib.channels.provider import Provider, WebhookRequest
from chalicelib.clock import Deadline
from chalicelib.errors import Code, Rejected
from chalicelib.telemetry import Level, Step, Trail


@dataclass(frozen=True, eq=False, repr=False)
class Verification:
    """Tells a provider from a forger."""

    provider: Provider
    credentials: CredentialCache

    def require_proof(self, headers: Mapping[str, str], url_token: str) -> None:
        """Return if a request bears what a proof needs; it is not looked at.

        Raises:
            Rejected: `INVALID_SIGNATURE`.
        """
        if not self.provider.bears_proof(headers, url_token):
            raise Rejected(Code.INVALID_SIGNATURE, "the request bears no proof")

    def verify(
        self, request: WebhookRequest, account_id: str, credential_ref: str, deadline: Deadline, trail: Trail
    ) -> None:
        """Return if the provider signed the request with the secret that `credential_ref` names.

        Raises:
            Rejected: `INVALID_SIGNATURE`.
            TryAgain, Misconfigured: the secret cannot be had, or is malformed.
        """
        secret = self.credentials.get(credential_ref, deadline)
        trail.log(Step.SECRET_FETCHED, Level.DEBUG)
        if not self.provider.is_genuine(request, account_id, secret):
            renewed = self.credentials.refresh(credential_ref, deadline)
            if renewed is None or not self.provider.is_genuine(request, account_id, renewed):
                over = ", ".join(self.provider.signed_urls(request))
                where = f" over {over}" if over else ""
                raise Rejected(Code.INVALID_SIGNATURE, f"no secret of the company signed this request{where}")
        trail.log(Step.SIGNATURE_ACCEPTED, Level.DEBUG)
