"""The JSON of a company's Twilio secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from chalicelib.channels.secret import Secret
from chalicelib.errors import Code, Misconfigured

API_BASE_URL: Final = "https://api.twilio.com"

EDGES: Final = {"us1": "ashburn", "ie1": "dublin", "au1": "sydney", "jp1": "tokyo"}
"""Twilio's regions, each with the edge that belongs to it (twilio.com/docs/twilio-cli/general-usage/regional)."""

OTHER_EDGES: Final = frozenset({"frankfurt", "roaming", "sao-paulo", "singapore", "umatilla"})
"""Further edges (twilio.com/docs/global-infrastructure/edge-locations)."""


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
    region: str | None = None
    """Where Twilio processes the company's data; None: in the United States."""
    edge: str | None = None
    """Where requests enter Twilio's network; None: the region's own."""

    @property
    def login(self) -> tuple[str, str]:
        """User and password for the API: the key where there is one, else the account itself."""
        if self.api_key and self.api_secret:
            return self.api_key, self.api_secret
        return self.account_sid, self.auth_token

    @property
    def place(self) -> str:
        """The part of a host's name that tells edge and region; empty: neither is chosen.

        A region or an edge that is unknown stops what calls Twilio, and nothing else: webhooks are proven without it.

        Raises:
            Misconfigured: `SECRET_FETCH_FAILED`; the region or the edge is unknown.
        """
        if self.region is None and self.edge is None:
            return ""
        region = self.region or "us1"
        if region not in EDGES:
            raise Misconfigured(Code.SECRET_FETCH_FAILED, f"region of a Twilio secret is none of {', '.join(EDGES)}")
        edge = self.edge or EDGES[region]
        known = sorted({*EDGES.values(), *OTHER_EDGES})
        if edge not in known:
            raise Misconfigured(Code.SECRET_FETCH_FAILED, f"edge of a Twilio secret is none of {', '.join(known)}")
        return f"{edge}.{region}."

    @property
    def api_base_url(self) -> str:
        """Where the company's API is.

        Raises:
            Misconfigured: as `place`.
        """
        return API_BASE_URL.replace("api.", f"api.{self.place}", 1)

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
        secret = Secret.parse("Twilio", text)
        return cls(
            account_sid=secret.required("account_sid"),
            auth_token=secret.required("auth_token"),
            next_auth_token=secret.optional("next_auth_token"),
            api_key=secret.optional("api_key"),
            api_secret=secret.optional("api_secret"),
            region=secret.optional("region"),
            edge=secret.optional("edge"),
        )
