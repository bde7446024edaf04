"""Asking a provider whether it accepts a secret: one GET request that changes nothing.

    Twilio     one message of the account's list, with the account's token or its API key
    SendGrid   the scopes of the API key

SendGrid's public key cannot be asked about: only SendGrid signs with its other half.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from chalicelib.channels.channel import Vendor
from chalicelib.channels.twilio.credentials import TwilioCredentials
from chalicelib.errors import Code, TryAgain
from chalicelib.settings import Settings

_PATIENCE_SECONDS = 10
_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
"""What a provider answers to credentials that it does not accept, and for an account that it has suspended."""


@dataclass(frozen=True)
class Question:
    """Whether one pair of credentials of a secret is accepted."""

    fields: str
    """The fields of the secret that are asked about."""
    url: str
    authorization: str

    def is_accepted(self) -> bool:
        """Ask.

        Raises:
            TryAgain: the provider cannot be asked now.
        """
        request = Request(self.url, headers={"Authorization": self.authorization})  # noqa: S310  # https, or a local stub
        opener = build_opener(*([ProxyHandler({})] if self.url.startswith("http://") else []))
        try:
            with opener.open(request, timeout=_PATIENCE_SECONDS):
                return True
        except HTTPError as error:
            with error:
                if error.code in _REFUSED:
                    return False
                raise TryAgain(Code.QUEUE_ERROR, f"the provider answered HTTP {error.code} to a question") from error
        except (URLError, TimeoutError, ConnectionError) as error:
            reason = getattr(error, "reason", error)
            raise TryAgain(Code.QUEUE_ERROR, f"the provider cannot be asked ({type(reason).__name__})") from error


def questions(settings: Settings, provider: str, fields: Mapping[str, str | None]) -> Iterator[Question]:
    """What can be asked about a well-formed secret: one question for each pair of credentials that it holds."""
    asker = _ASKERS.get(provider)
    if asker is not None:
        yield from asker(settings, fields)


def _of_twilio(settings: Settings, fields: Mapping[str, str | None]) -> Iterator[Question]:
    credentials = TwilioCredentials.from_secret(json.dumps({name: value for name, value in fields.items() if value}))
    base = settings.twilio_api_base_url or credentials.api_base_url
    url = f"{base}/2010-04-01/Accounts/{credentials.account_sid}/Messages.json?PageSize=1"
    for names, (user, password) in {
        "auth_token": (credentials.account_sid, credentials.auth_token),
        "next_auth_token": (credentials.account_sid, fields.get("next_auth_token")),
        "api_key": (fields.get("api_key"), fields.get("api_secret")),
    }.items():
        if user and password:
            yield Question(names, url, f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}")


def _of_sendgrid(settings: Settings, fields: Mapping[str, str | None]) -> Iterator[Question]:
    if fields.get("api_key"):
        url = f"{settings.sendgrid_api_base_url}/v3/scopes"
        yield Question("api_key", url, f"Bearer {fields['api_key']}")


_ASKERS: Mapping[str, Callable[[Settings, Mapping[str, str | None]], Iterator[Question]]] = {
    Vendor.TWILIO.value: _of_twilio,
    Vendor.SENDGRID.value: _of_sendgrid,
}


def takes(
    settings: Settings, provider: str, fields: Mapping[str, str | None], proof: str
) -> Callable[[str], bool] | None:
    """Asks whether the provider accepts a token as a secret's proof; None: it cannot be asked."""
    if not any(one.fields == proof for one in questions(settings, provider, fields)):
        return None

    def accepts(token: str) -> bool:
        asked = {**{name: value for name, value in fields.items() if name != f"next_{proof}"}, proof: token}
        return next(one for one in questions(settings, provider, asked) if one.fields == proof).is_accepted()

    return accepts
