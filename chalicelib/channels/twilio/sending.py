"""Sending through Twilio with its official library.

Only the function that sends imports this module: `twilio.rest` costs over 100 ms. Twilio has no idempotency key, so a
timeout after the request went out leaves the send in doubt. It is later looked up in the list of messages, by
recipient, text and time of creation. The library logs whole requests, with numbers and texts, so its logger is off.
"""

from __future__ import annotations

import json
import logging
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

from requests.exceptions import RequestException
from twilio.base.exceptions import TwilioException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from chalicelib.channels.answers import Answer, outcome_of
from chalicelib.channels.connections import Connections
from chalicelib.channels.http_errors import was_not_sent, whole_seconds
from chalicelib.channels.sender import InDoubt, OutboundPart, SendOutcome, Sent, TemporaryFailure
from chalicelib.channels.twilio import RETRIES
from chalicelib.channels.twilio.credentials import TwilioCredentials
from chalicelib.channels.twilio.outcomes import TABLE
from chalicelib.errors import Code, Misconfigured, TryAgain
from chalicelib.messages.phone_numbers import bare, other_spellings

Told = TypeVar("Told")

_LOOK_BACK = timedelta(seconds=30)
"""By how much Twilio's clock may lag behind ours."""
_LISTED_MAX: Final = 200

_silent = logging.Logger("twilio, silent", level=logging.CRITICAL + 1)  # noqa: LOG001  # it is meant to stand alone
"""For the library's lines, which tell whole requests. It stands outside the tree of loggers, so no set-up of logging
reaches it: `dictConfig` enables every logger of the tree again."""


class _Http(TwilioHttpClient):  # type: ignore[misc]  # the library is untyped
    """The library's own HTTP client, with our connections, both timeouts, no redirects, and its own base of the API."""

    def __init__(self, connections: Connections, connect_seconds: float, read_seconds: float, base_url: str) -> None:
        super().__init__(pool_connections=False, logger=_silent)
        self.session = connections
        self.timeout = (connect_seconds, read_seconds)  # its constructor takes one number for both
        self._base = urlsplit(base_url)
        self.answer: Response | None = None
        """The last answer; None: none came."""

    def request(self, method: str, url: str, *args: Any, **options: Any) -> Response:
        url = urlunsplit(urlsplit(url)._replace(scheme=self._base.scheme, netloc=self._base.netloc))
        self.answer = None
        self.answer = super().request(method, url, *args, **options)
        return self.answer


@dataclass(frozen=True)
class TwilioSender:
    """Sends and looks up messages for any account."""

    lists_every_message = True

    connect_seconds: float
    read_seconds: float
    base_url: str
    connections: Connections

    def extras(self, part: OutboundPart) -> Mapping[str, str]:  # noqa: ARG002  # Twilio's messages are all text
        """Nothing: what Twilio sends is the text."""
        return {}

    def send(self, part: OutboundPart, secret: str) -> SendOutcome:
        """Send one message, once.

        Raises:
            Misconfigured: `SECRET_FETCH_FAILED`; the secret's content is malformed.
        """
        client, http = self._client(secret)
        try:
            created = client.messages.create(**_parameters(part))
        except RequestException as error:
            return TemporaryFailure("UNREACHABLE") if was_not_sent(error) else InDoubt()
        except (TwilioException, ValueError):  # a refusal, or an answer that the library cannot read
            return _outcome(http.answer)
        return Sent(created.sid) if created.sid else InDoubt()

    def find(self, part: OutboundPart, secret: str, *, since: datetime) -> list[str]:
        """The sids of messages to the same recipient, with the same text, that were created since an instant.

        Twilio may list the recipient in the other spelling of their number, and a text with other punctuation (Smart
        Encoding) or with words before it (a trial account): neither may hide a message that was taken.

        Raises:
            TryAgain: `QUEUE_ERROR`; Twilio cannot be asked now.
            Misconfigured: `SECRET_FETCH_FAILED`; the secret is malformed, or Twilio does not take it.
        """
        prefix, _, number = part.to.rpartition(":")
        spelled = [f"{prefix}:{one}" if prefix else one for one in (number, *other_spellings(number))]
        senders = {bare(part.sender), *other_spellings(bare(part.sender))}
        wanted = _words(part.body)
        return [
            one.sid
            for to in spelled
            for one in self.ask(secret, partial(_listed, to=to))
            if one.date_created is not None
            and one.date_created >= since - _LOOK_BACK
            and (part.content_sid is not None or _says(one.body or "", wanted))
            and str(one.direction).startswith("outbound")
            and (part.messaging_service_sid is not None or bare(one.from_ or "") in senders)
        ]

    def show_typing(self, message_id: str, secret: str) -> str | None:
        """Show for 25 seconds, or until a message is sent, that an answer is being written; it marks as read, too.

        Twilio's resource for it is in beta, and for WhatsApp alone. That it is served in every Region is a guess.

        Raises:
            Misconfigured: `SECRET_FETCH_FAILED`; the secret is malformed, or Twilio does not take it.
        """
        client, http = self._client(secret, "messaging")
        try:
            client.messaging.v2.typing_indicator.create(channel="whatsapp", message_id=message_id)
        except (RequestException, TwilioException, ValueError) as error:
            if http.answer is not None and http.answer.status_code == HTTPStatus.UNAUTHORIZED:
                raise Misconfigured(Code.SECRET_FETCH_FAILED, "Twilio answered 401 to a typing indicator") from error
            return f"not shown: {type(error).__name__}"
        return None

    def ask(self, secret: str, question: Callable[[Client], Told], product: str = "api") -> Told:
        """What Twilio answers to a question that changes nothing, asked by its library, of one of its products.

        The table of Twilio's codes decides on a refusal. A list that is not found is an account that is not found.

        Raises:
            TryAgain: `QUEUE_ERROR`; Twilio cannot be asked now.
            Misconfigured: `SECRET_FETCH_FAILED`; the secret is malformed, or its account must be mended.
        """
        client, http = self._client(secret, product)
        try:
            return question(client)
        except (RequestException, TwilioException, ValueError) as error:
            outcome = _outcome(http.answer)
            shown = getattr(outcome, "error_code", None) or type(error).__name__
            if isinstance(outcome, TemporaryFailure) and outcome.is_ours_to_mend:
                raise Misconfigured(Code.SECRET_FETCH_FAILED, f"Twilio answered {shown} to a look-up") from error
            raise TryAgain(Code.QUEUE_ERROR, f"Twilio cannot be asked: {shown}") from error

    def _client(self, secret: str, product: str = "api") -> tuple[Client, _Http]:
        """A client, and its HTTP client, for one of the products that Twilio serves at hosts of their own."""
        credentials = TwilioCredentials.from_secret(secret)
        base_url = self.base_url or credentials.api_base_url.replace("//api.", f"//{product}.", 1)
        http = _Http(self.connections, self.connect_seconds, self.read_seconds, base_url)
        return Client(*credentials.login, credentials.account_sid, http_client=http), http


def _listed(client: Client, to: str) -> Sequence[Any]:
    """The newest messages to a recipient."""
    listed: Sequence[Any] = client.messages.list(to=to, limit=_LISTED_MAX)
    return listed


def _says(text: str, wanted: str) -> bool:
    """Whether a listed text is the one that is wanted, by its words; only a message without a text is one without."""
    words = _words(text)
    return words.endswith(wanted) if wanted else not words


def _words(text: str) -> str:
    """The letters and digits of a text; all of it where it has none."""
    normal = unicodedata.normalize("NFKC", text)
    return "".join(filter(str.isalnum, normal)) or normal.strip()


def _parameters(part: OutboundPart) -> Mapping[str, Any]:
    # With both, the service's features apply, and the customer is answered from the number that they wrote to.
    parameters: dict[str, Any] = {"to": part.to, "from_": part.sender}
    if part.messaging_service_sid is not None:
        parameters["messaging_service_sid"] = part.messaging_service_sid
    if part.content_sid is not None:
        parameters["content_sid"] = part.content_sid
        if part.content_variables:
            parameters["content_variables"] = json.dumps(dict(part.content_variables))
    elif part.body:
        parameters["body"] = part.body
    if part.media_urls:
        parameters["media_url"] = list(part.media_urls)
    if part.status_callback is not None:
        parameters["status_callback"] = part.status_callback + RETRIES
    return parameters


def _outcome(answer: Response | None) -> SendOutcome:
    """What is known of a send that was answered so, by the table of Twilio's codes."""
    if answer is None:
        return InDoubt()
    code, is_of_twilio = _code(answer.text)
    return outcome_of(
        TABLE,
        Answer(
            status=answer.status_code,
            is_of_provider=is_of_twilio,
            code=code,
            retry_after_seconds=whole_seconds((answer.headers or {}).get("Retry-After")),
        ),
    )


def _code(body: str) -> tuple[str | None, bool]:
    """Twilio's code in an error document, and whether the body is such a document at all."""
    try:
        document = json.loads(body)
    except ValueError:
        return None, False
    if not isinstance(document, dict) or not ({"message", "title"} & document.keys()):
        return None, False
    code = document.get("code")
    return (str(code) if isinstance(code, int) and not isinstance(code, bool) else None), True
