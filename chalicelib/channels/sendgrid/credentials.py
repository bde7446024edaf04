"""The JSON of a company's SendGrid secret."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from chalicelib.channels.secret import Secret


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
        secret = Secret.parse("SendGrid", text)
        return cls(**{one.name: secret.optional(one.name) for one in fields(cls)})
