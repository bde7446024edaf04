"""E-mails as SendGrid's Inbound Parse posts them, in either mode, and bent wherever a test wants it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from urllib.parse import quote

from local.requests.email_signatures import key_pair, signed

COMPANY_EMAIL, CUSTOMER_EMAIL = "help@acme.example", "ann@customer.example"

BOUNDARY = "xYzZY"

NOW_SECONDS = 1_767_225_600
"""The instant that a signature is stamped with."""

Value = str | bytes | None
Attachment = tuple[str, str, bytes]
"""Its name, its content type and its content."""


def first(_: int) -> int:
    """Where a test's sample of a form starts."""
    return 0


@cache
def keys() -> tuple[str, str]:
    """The private and the public key of the company's security policy, made once."""
    return key_pair()


@dataclass(frozen=True)
class Email:
    """One e-mail of a customer, as SendGrid posts it."""

    text: str = "hello"
    html: str = ""
    subject: str = "A question"
    sender: str = f"Ann Example <{CUSTOMER_EMAIL}>"
    recipients: tuple[str, ...] = (COMPANY_EMAIL,)
    return_path: str | None = CUSTOMER_EMAIL
    message_id: str = "<one@customer.example>"
    headers: Mapping[str, str] = field(default_factory=dict)
    """Beside those that every e-mail has."""
    attachments: tuple[Attachment, ...] = ()
    spf: str | None = "pass"
    dkim: str | None = "{@customer.example : pass}"
    charset: str = "UTF-8"
    is_raw: bool = False
    boundary: str = BOUNDARY
    fields: Mapping[str, Value] = field(default_factory=dict)
    """In place of what would be posted; None: left out."""
    order: tuple[str, ...] = ()
    """The fields that are posted first, in this order."""

    @property
    def message_sid(self) -> str:
        """The id of the message that its first recipient gets."""
        known_by = f"{self.message_id}\n{self.recipients[0]}"
        return f"em-{sha256(known_by.encode()).hexdigest()[:40]}"

    @property
    def content_type(self) -> str:
        """Of the request."""
        return f"multipart/form-data; boundary={self.boundary}"

    @property
    def body(self) -> bytes:
        """Of the request."""
        told = {**self._told, **self.fields}
        told = {name: told[name] for name in (*self.order, *told) if name in told}
        parts = [self._part(f'name="{name}"', value) for name, value in told.items() if value is not None]
        files = [] if self.is_raw else list(enumerate(self.attachments, start=1))
        for number, (filename, kind, content) in files:
            head = f'name="attachment{number}"; filename="{filename}"'
            parts.append(self._part(head, content, f"Content-Type: {kind}\r\n"))
        return b"".join(parts) + f"--{self.boundary}--\r\n".encode()

    @property
    def head(self) -> str:
        """The e-mail's own headers, as they went over the wire."""
        told = {
            "From": self.sender,
            "To": ", ".join(self.recipients),
            "Subject": self.subject,
            "Message-ID": self.message_id,
            "Date": "Thu, 01 Jan 2026 00:00:00 +0000",
            **self.headers,
        }
        return "".join(f"{name}: {value}\r\n" for name, value in told.items() if value)

    @property
    def mime(self) -> bytes:
        """The whole e-mail."""
        shown = {"text/plain": self.text, "text/html": self.html}
        parts = [
            self._entity(f"{kind}; charset={self.charset}", text.encode(self.charset, "replace"))
            for kind, text in shown.items()
            if text
        ]
        parts += [
            self._entity(kind, content, f"Content-Disposition: attachment; filename*=UTF-8''{quote(filename)}\r\n")
            for filename, kind, content in self.attachments
        ]
        if self.text and self.html:
            parts[:2] = [self._multipart("alternative", "texts", parts[:2])]
        if len(parts) == 1:
            return self.head.encode() + parts[0]
        return f"{self.head}MIME-Version: 1.0\r\n".encode() + self._multipart("mixed", "inner", parts)

    @staticmethod
    def _multipart(kind: str, boundary: str, parts: list[bytes]) -> bytes:
        head = f"Content-Type: multipart/{kind}; boundary={boundary}\r\n\r\n".encode()
        between = f"\r\n--{boundary}\r\n".encode()
        return head + b"".join(between + one for one in parts) + f"\r\n--{boundary}--\r\n".encode()

    @staticmethod
    def _entity(kind: str, content: bytes, more: str = "") -> bytes:
        head = f"Content-Type: {kind}\r\n{more}Content-Transfer-Encoding: base64\r\n\r\n"
        return head.encode() + base64.encodebytes(content).replace(b"\n", b"\r\n")

    @property
    def _told(self) -> dict[str, Value]:
        texts = {"text": self.text or None, "html": self.html or None}
        of_mode: dict[str, Value] = {"email": self.mime} if self.is_raw else {"headers": self.head, **texts}
        return {
            **of_mode,
            "to": ", ".join(self.recipients),
            "from": self.sender,
            "subject": self.subject,
            "envelope": json.dumps({"to": list(self.recipients), "from": self.return_path}),
            "sender_ip": "192.0.2.25",
            "SPF": self.spf,
            "dkim": self.dkim,
            "spam_score": "0.1",
            "charsets": json.dumps(dict.fromkeys(("to", "from", "subject", "text", "html"), self.charset)),
        }

    def _part(self, head: str, value: str | bytes, more: str = "") -> bytes:
        content = value if isinstance(value, bytes) else value.encode(self.charset, "replace")
        start = f"--{self.boundary}\r\nContent-Disposition: form-data; {head}\r\n{more}\r\n"
        return start.encode() + content + b"\r\n"


def signature(body: bytes, private_key: str | None = None) -> dict[str, str]:
    """The headers that prove a request, by the company's key unless another is given."""
    return signed(body, private_key or keys()[0], timestamp=NOW_SECONDS)
