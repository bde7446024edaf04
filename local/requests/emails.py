"""One inbound e-mail as SendGrid's Inbound Parse sends it: parsed into fields or raw, signed and posted.

Guarantee: a request of ours has the fields, the multipart body and the signature of a real one, as far as SendGrid's
documentation tells them, so that what works here works with SendGrid.
"""

from __future__ import annotations

import json
import mimetypes
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from urllib.request import Request

from urllib3.fields import RequestField
from urllib3.filepost import encode_multipart_formdata

from local.requests.email_signatures import key_pair, signed
from local.requests.messages import Answer, exchange, webhook_url

_BOUNDARY = "xYzZY"
_SENDER_IP = "192.0.2.25"


def fresh_message_id(domain: str) -> str:
    """A Message-ID that was never used before, of a customer's own mail server."""
    return f"<{uuid.uuid4().hex}@{domain}>"


@dataclass(frozen=True)
class Attachment:
    """One file that comes with an e-mail."""

    filename: str
    content: bytes

    @property
    def content_type(self) -> str:
        """As its name tells."""
        return mimetypes.guess_type(self.filename)[0] or "application/octet-stream"

    @property
    def info(self) -> dict[str, str]:
        """Its entry in the field `attachment-info`."""
        return {"filename": self.filename, "name": self.filename, "type": self.content_type}


@dataclass(frozen=True, kw_only=True)
class Mail:
    """One e-mail of a customer to a company."""

    sender: str
    recipient: str
    subject: str
    body: str = ""
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()
    name: str = ""
    """How the customer is called."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Beyond those that every e-mail has."""
    message_id: str = ""
    written_at: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    @property
    def sid(self) -> str:
        """What it is known by."""
        return self.message_id

    @property
    def channel(self) -> str:
        return "email"

    @property
    def mime(self) -> EmailMessage:
        """The e-mail itself."""
        mail = EmailMessage(policy=SMTP)
        told = {
            "From": formataddr((self.name, self.sender)),
            "To": self.recipient,
            "Subject": self.subject,
            "Message-ID": self.message_id,
            "Date": format_datetime(self.written_at),
            **self.headers,
        }
        for name, value in told.items():
            mail[name] = value
        mail.set_content(self.body)
        if self.html is not None:
            mail.add_alternative(self.html, subtype="html")
        for one in self.attachments:
            kind, _, subtype = one.content_type.partition("/")
            mail.add_attachment(one.content, maintype=kind, subtype=subtype, filename=one.filename)
        return mail

    def fields(self, *, is_raw: bool) -> list[RequestField]:
        """The fields of the request, of the one mode or the other."""
        of_mode = self._raw if is_raw else self._parsed
        told = {
            "to": str(self.mime["To"]),
            "from": str(self.mime["From"]),
            "subject": self.subject,
            "envelope": json.dumps({"to": [self.recipient], "from": self.sender}),
            "sender_ip": _SENDER_IP,
            "SPF": "pass",
            "dkim": f"{{@{self.sender.rpartition('@')[2]} : pass}}",
        }
        return [*(_text(name, value) for name, value in told.items()), *of_mode]

    @property
    def _raw(self) -> list[RequestField]:
        """The whole e-mail as one field, and no charset of it: it tells its own."""
        charsets = dict.fromkeys(("to", "from", "subject"), "UTF-8")
        return [_text("charsets", json.dumps(charsets)), _text("email", self.mime.as_bytes())]

    @property
    def _parsed(self) -> list[RequestField]:
        """The e-mail taken apart, each text in a charset that is told beside it."""
        texts = {"text": self.body} if self.html is None else {"text": self.body, "html": self.html}
        files = {f"attachment{number}": one for number, one in enumerate(self.attachments, start=1)}
        told = {
            "headers": self.mime.as_bytes().partition(b"\r\n\r\n")[0].decode() + "\r\n",
            "charsets": json.dumps(dict.fromkeys(("to", "from", "subject", *texts), "UTF-8")),
            "attachments": str(len(files)),
            **texts,
        }
        if files:
            told["attachment-info"] = json.dumps({name: one.info for name, one in files.items()})
        return [
            *(_text(name, value) for name, value in told.items()),
            *(_file(name, one) for name, one in files.items()),
        ]


def mail_url(base: str, secret: Mapping[str, str]) -> str:
    """The webhook at `base`, with the word in it that proves the e-mails of a company whose plan has no signing."""
    url = webhook_url(base, "email")
    word = secret.get("url_token")
    return f"{url}/{word}" if word and url != base else url


def send(url: str, mail: Mail, private_key: str | None, *, is_raw: bool = False, forge: bool = False) -> Answer:
    """Post `mail` to the webhook at `url`, signed with `private_key`; without one it is not signed.

    Args:
        url: the whole URL of the webhook, as SendGrid's console holds it.
        mail: what the customer wrote.
        private_key: of the company's security policy; None: its plan has no signing.
        is_raw: whether as one field with the whole e-mail, as with "POST the raw, full MIME message".
        forge: sign with another key, as someone without the right one would.

    Raises:
        UnreachableError: nobody answered.
    """
    headers, body = signed_mail(mail, key_pair()[0] if forge else private_key, is_raw=is_raw)
    return exchange(Request(url, data=body, headers=headers))  # noqa: S310  # the caller names the URL; it is theirs


def signed_mail(mail: Mail, private_key: str | None, *, is_raw: bool = False) -> tuple[dict[str, str], bytes]:
    """The headers and the body of the request that brings `mail`; see `send`."""
    body, content_type = encode_multipart_formdata(mail.fields(is_raw=is_raw), boundary=_BOUNDARY)
    signature = signed(body, private_key, timestamp=int(time.time())) if private_key is not None else {}
    return {"Content-Type": content_type, "User-Agent": "SendGrid", "Accept": "*/*", **signature}, body


def _text(name: str, value: str | bytes) -> RequestField:
    one = RequestField(name, value)
    one.make_multipart()
    return one


def _file(name: str, attachment: Attachment) -> RequestField:
    one = RequestField(name, attachment.content, filename=attachment.filename)
    one.make_multipart(content_type=attachment.content_type)
    return one
