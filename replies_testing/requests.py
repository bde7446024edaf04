"""Requests as Twilio and SendGrid sign and send them, for any client: a path, headers and a body."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from local.requests import emails, messages
from local.requests.emails import Mail, fresh_message_id
from local.requests.messages import Message
from tests.emails import COMPANY_EMAIL, CUSTOMER_EMAIL, keys
from tests.world import ACCOUNT_SID, AUTH_TOKEN, BASE_URL, COMPANY, CUSTOMER


@dataclass(frozen=True)
class SignedRequest:
    """One request of a provider."""

    path: str
    headers: dict[str, str]
    body: bytes
    sid: str
    """The MessageSid, or the e-mail's Message-ID."""


def signed_message(
    body: str = "",
    *,
    message: Message | None = None,
    channel: str = "whatsapp",
    sender: str = CUSTOMER,
    recipient: str = COMPANY,
    account_sid: str = ACCOUNT_SID,
    token: str = AUTH_TOKEN,
    base_url: str = BASE_URL,
) -> SignedRequest:
    """One WhatsApp message or SMS as Twilio sends it.

    Args:
        body: what the customer wrote.
        message: the whole message, for media, buttons and places; in place of the arguments that it has too.
        channel: whatsapp or sms.
        sender: the customer's number.
        recipient: the company's number.
        account_sid: of the company.
        token: what signs; another than the company's makes a forgery.
        base_url: of the webhooks, as `PUBLIC_BASE_URL` says; it is signed.
    """
    told = message or Message(channel=channel, sender=sender, recipient=recipient, account_sid=account_sid, body=body)
    url = f"{base_url}/webhooks/{told.channel}"
    headers, content = messages.signed(url, told, token)
    return SignedRequest(urlsplit(url).path, headers, content, told.sid)


def signed_email(
    body: str = "",
    *,
    mail: Mail | None = None,
    sender: str = CUSTOMER_EMAIL,
    recipient: str = COMPANY_EMAIL,
    subject: str = "A question",
    private_key: str | None = None,
    is_raw: bool = False,
) -> SignedRequest:
    """One e-mail as SendGrid's Inbound Parse posts it.

    Args:
        body: what the customer wrote.
        mail: the whole e-mail, for HTML, attachments and headers; in place of the arguments that it has too.
        sender: the customer's address.
        recipient: the company's address.
        subject: of the e-mail.
        private_key: what signs; None: the key whose public half the world's secret has.
        is_raw: whether the whole e-mail is posted as one field.
    """
    told = mail or Mail(
        sender=sender,
        recipient=recipient,
        subject=subject,
        body=body,
        message_id=fresh_message_id(sender.rpartition("@")[2]),
    )
    headers, content = emails.signed_mail(told, private_key or keys()[0], is_raw=is_raw)
    return SignedRequest("/webhooks/email", headers, content, told.sid)
