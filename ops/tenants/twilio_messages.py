"""What Twilio says that it delivered: the inbound messages of an account, as stage 1 would have parsed them.

The list tells less than a webhook: no profile, no button, no location, no word on opting out but the message's own.
It tells when a message was created, in whole seconds; of several in one second the list's own order is kept. The
newest come first, so that reading stops where messages are older than what was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from twilio.base.exceptions import TwilioException

from chalicelib.channels.channel import Channel
from chalicelib.channels.provider import WebhookRequest
from chalicelib.channels.twilio.sending import TwilioSender
from chalicelib.errors import Rejected
from chalicelib.messages.inbound import InboundMessage
from chalicelib.messages.phone_numbers import other_spellings
from chalicelib.wiring import Engine

_MEDIA_BASE = "https://api.twilio.com"
_PAGE_SIZE = 1_000
_SLACK = timedelta(hours=1)
"""How much older than what was asked for a message must be for the list to be at its end."""


def inbound(engine: Engine, channel: Channel, address: str, secret: str, since: datetime) -> list[InboundMessage]:
    """The messages that Twilio got for an address since an instant, the oldest first.

    Raises:
        TryAgain: Twilio cannot be asked now.
        Misconfigured: the secret is malformed, or Twilio does not take it.
    """
    sender = engine.senders[channel.name]
    assert isinstance(sender, TwilioSender), "Twilio carries the channel"
    spellings = (address, *other_spellings(address))  # a row may have the number as Twilio does not spell it
    forms = sender.ask(
        secret,
        lambda client: [form for one in spellings for form in _forms(client, channel.address_prefix + one, since)],
    )
    forms.sort(key=lambda form: form[0], reverse=True)  # stable: of one second the list's own order is kept
    receiving = engine.receiving(channel.vendor)
    found: list[InboundMessage] = []
    for created_at, form in reversed(forms):
        try:
            (message,) = receiving.parse(WebhookRequest((), {}, urlencode(form).encode(), "catch-up"))
        except Rejected:
            continue  # the webhook would refuse it too
        latest = found[-1].received_at if found else created_at
        at = max(created_at, latest + timedelta(microseconds=1)) if found else created_at
        found.append(replace(message, received_at=at))
    return found


def _forms(client: Any, to: str, since: datetime) -> Iterator[tuple[datetime, dict[str, str]]]:
    """Each message as the webhook's form, with when it was created; the newest first."""
    for one in client.messages.stream(to=to, page_size=_PAGE_SIZE):
        if one.date_created is None:
            continue
        if one.date_created < since - _SLACK:
            return
        if one.direction != "inbound" or one.date_created < since:
            continue
        form = {
            "MessageSid": one.sid,
            "AccountSid": one.account_sid,
            "From": one.from_,
            "To": one.to,
            "Body": one.body or "",
            "NumMedia": one.num_media or "0",
        }
        if int(one.num_media or 0):
            form |= _media(client, one.sid)
        yield one.date_created, form


def _media(client: Any, sid: str) -> dict[str, str]:
    form: dict[str, str] = {}
    try:
        media = client.messages(sid).media.list()
    except TwilioException as error:
        if getattr(error.args[-1] if error.args else None, "status_code", None) == HTTPStatus.NOT_FOUND:
            return form  # the message was deleted meanwhile, with its media
        raise
    for number, one in enumerate(media):
        form[f"MediaUrl{number}"] = _MEDIA_BASE + str(one.uri).removesuffix(".json")
        form[f"MediaContentType{number}"] = one.content_type or ""
    return form
