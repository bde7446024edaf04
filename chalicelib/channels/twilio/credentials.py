"""The JSON of a company's Twilio secret."""

from __future__ import annotations

from dataclasses import dataclass, field

from chalicelib.channels.secret import Secret


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
        secret = Secret.parse("Twilio", text)
        return cls(
            account_sid=secret.required("account_sid"),
            auth_token=secret.required("auth_token"),
            next_auth_token=secret.optional("next_auth_token"),
            api_key=secret.optional("api_key"),
            api_secret=secret.optional("api_secret"),
        )
