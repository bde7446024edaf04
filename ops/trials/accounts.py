"""The providers' accounts of a trial: at a stand-in where the stage has one, else Twilio's test credentials.

Test credentials send nothing and cost nothing, from one number and by SMS alone. Any other credentials are refused:
Twilio answers a read under test credentials with its error 20008, and a read under live ones with what was asked for.
"""

from __future__ import annotations

import json
import secrets
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from chalicelib.settings import Settings
from local.stubs.server import ask
from local.tenants import MAIL
from ops.stage.target import CommandError

TWILIO = "https://api.twilio.com"
NUMBER = "+15005550006"
"""The one number that test credentials send from."""

OF_TEST_CREDENTIALS = 20008
"""What Twilio answers to a read under test credentials."""

IN_THE_SHELL = "TWILIO_TEST_ACCOUNT_SID and TWILIO_TEST_AUTH_TOKEN in the shell"

_PATIENCE_SECONDS = 10


@dataclass(frozen=True)
class Accounts:
    """One account at each provider."""

    sid: str
    auth_token: str = field(repr=False)
    number: str | None = None
    """The only number that the account sends from; None: any."""
    mail_stand_in: str | None = None
    """Where SendGrid's stand-in is; None: SendGrid itself would be asked, with a key that it does not know."""

    @property
    def replying(self) -> frozenset[str]:
        """The channels on which a reply can be sent; on the others a trial ends without one."""
        of_twilio = {"whatsapp", "sms"} if self.number is None else {"sms"}
        return frozenset({*of_twilio, *([MAIL] if self.mail_stand_in else [])})

    def add_mail(self, api_key: str, sender: str) -> None:
        """Have the stand-in for SendGrid know a company."""
        if self.mail_stand_in:
            ask(self.mail_stand_in, "accounts", {"api_key": api_key, "senders": [sender]})


def of_stage(settings: Settings, given: Sequence[str | None], *, twilio: str = TWILIO) -> Accounts:
    """The accounts that a trial of a stage uses.

    Args:
        settings: of the stage: where the providers' APIs are.
        given: the sid and the token of test credentials, as far as the shell has them.
        twilio: where Twilio's own API is.

    Raises:
        CommandError: there are none, or they are no test credentials.
    """
    mail = settings.sendgrid_api_base_url if _is_stand_in(settings.sendgrid_api_base_url) else None
    if settings.twilio_api_base_url:
        made = Accounts(f"AC{secrets.token_hex(16)}", secrets.token_hex(16), mail_stand_in=mail)
        try:
            ask(settings.twilio_api_base_url, "accounts", {"sid": made.sid, "auth_token": made.auth_token})
        except (HTTPError, URLError, TimeoutError) as error:
            what = (
                f"TWILIO_API_BASE_URL is {settings.twilio_api_base_url}, and no stand-in of this project answers there"
            )
            raise CommandError(what, "a stage with Twilio's own API, or make rehearse") from error
        return made
    sid, token = given
    if not sid or not token:
        raise CommandError("a trial needs Twilio's test credentials", f"{IN_THE_SHELL}; Twilio's console shows them")
    _require_test_credentials(twilio, sid, token)
    return Accounts(sid, token, NUMBER, mail)


def _is_stand_in(url: str) -> bool:
    """Whether a stand-in of this project is at a URL, and not SendGrid."""
    if not url.startswith("http://"):
        return False
    try:
        return "deliveries" in ask(url, "deliveries")
    except (HTTPError, URLError, TimeoutError, ValueError):
        return False


def _require_test_credentials(twilio: str, sid: str, token: str) -> None:
    authorization = f"Basic {b64encode(f'{sid}:{token}'.encode()).decode()}"
    url = f"{twilio}/2010-04-01/Accounts/{sid}/Messages.json?PageSize=1"
    request = Request(url, headers={"Authorization": authorization})  # noqa: S310  # Twilio's own URL
    try:
        with urlopen(request, timeout=_PATIENCE_SECONDS):  # noqa: S310  # as above
            raise CommandError("these are live credentials: a trial would send real messages", IN_THE_SHELL)
    except HTTPError as error:
        with error:
            if error.code == HTTPStatus.FORBIDDEN and _code(error.read()) == OF_TEST_CREDENTIALS:
                return
        raise CommandError(f"Twilio does not accept the test credentials (HTTP {error.code})", IN_THE_SHELL) from error
    except (URLError, TimeoutError) as error:
        raise CommandError("Twilio cannot be asked about the test credentials", "the same command once more") from error


def _code(body: bytes) -> int | None:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document.get("code") if isinstance(document, dict) else None
