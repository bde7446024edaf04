"""What SendGrid's form says of one e-mail, in either of its modes: taken apart into fields, or whole in one.

parsed   headers, text, html, attachment1 ... attachmentN and attachment-info; each text's character set in charsets
raw      email: the e-mail as it went over the wire
both     envelope (who it is for), from, subject, cc, SPF, dkim, spam_score, charsets
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from chalicelib.channels.channel import WebhookRequest
from chalicelib.channels.email.attachments import Attachments
from chalicelib.channels.email.charsets import decode
from chalicelib.channels.email.headers import Headers, address
from chalicelib.channels.email.mime import Mime, read_mime
from chalicelib.channels.email.notes import Notes
from chalicelib.channels.email.texts import Shown
from chalicelib.channels.sendgrid.form import Form, read_form
from chalicelib.errors import Code, Rejected

RECIPIENTS_MAX: Final = 20
"""Addresses that one e-mail is for; each is looked up and proven on its own."""

_ENVELOPE_BYTES_MAX: Final = 65_536
_DOCUMENT_BYTES_MAX: Final = 262_144
_IDENTIFYING: Final = ("headers", "from", "subject", "text", "html", "email")
"""The fields that are the same whenever SendGrid posts the same e-mail, and tell it from others."""


@dataclass(frozen=True, repr=False)
class Envelope:
    """What the servers agreed on, whatever the e-mail itself says."""

    recipients: tuple[str, ...]
    """Distinct addresses in lower case, in their order."""
    return_path: str | None
    """Where bounces go; empty: nowhere, for it is one itself; None: not told."""


@dataclass(frozen=True, repr=False)
class Mail:
    """One e-mail as it was read; nothing of it is safe to be told yet but the envelope."""

    envelope: Envelope
    mime: Mime
    fields: Mapping[str, str]
    """What SendGrid tells beside it, as far as it told it."""
    digest: str
    """Of all that it says, for one that has no id: the same whenever it is posted."""


def read_mail(request: WebhookRequest, attachments: Attachments, notes: Notes) -> Mail:
    """The e-mail of a request; its attachments go to `attachments`, and what could not be read to `notes`.

    Raises:
        Rejected: `PARSING_ERROR`, `MISSING_REQUIRED_FIELD`; the detail names the field, never its value.
    """
    form = read_form(request.headers.get("content-type", ""), request.body)
    envelope = _envelope(form.fields.get("envelope", b""))
    charsets = _document(form, "charsets")

    def text(name: str) -> str:
        label = charsets.get(name)
        return decode(form.fields.get(name, b""), label if isinstance(label, str) else "", notes)

    told = ("from", "subject", "cc", "SPF", "dkim", "spam_score")
    if form.fields.get("email"):
        mime = read_mime(form.fields["email"], attachments, notes)
    else:
        mime = Mime(Headers.parse(form.fields.get("headers", b""), notes), [Shown(text("text"), text("html"))])
        _attach(form, attachments, notes)
    return Mail(envelope, mime, {name: text(name) for name in told if name in form.fields}, _digest(form))


def _envelope(content: bytes) -> Envelope:
    if not content.strip():
        raise Rejected(Code.MISSING_REQUIRED_FIELD, "envelope is missing or blank")
    if len(content) > _ENVELOPE_BYTES_MAX:
        raise Rejected(Code.PARSING_ERROR, f"envelope is larger than {_ENVELOPE_BYTES_MAX} bytes")
    told = _json(content)
    if not isinstance(told, dict):
        raise Rejected(Code.PARSING_ERROR, "envelope is no JSON object")
    listed = told.get("to")
    texts = [listed] if isinstance(listed, str) else listed if isinstance(listed, list) else []
    recipients = dict.fromkeys(address(one) for one in texts if isinstance(one, str))
    known = tuple(one for one in recipients if one is not None)
    if not known:
        raise Rejected(Code.PARSING_ERROR, "envelope.to names no address")
    if len(known) > RECIPIENTS_MAX:
        raise Rejected(Code.PARSING_ERROR, f"envelope.to names more than {RECIPIENTS_MAX} addresses")
    sender = told.get("from")
    if not isinstance(sender, str):
        return Envelope(known, None)
    return Envelope(known, address(sender) if sender.strip(" <>") else "")


def _attach(form: Form, attachments: Attachments, notes: Notes) -> None:
    """The files of the form, with what SendGrid tells of them where their own headers do not."""
    info = _document(form, "attachment-info")
    for one in form.files:
        beside = info.get(one.field)
        beside = beside if isinstance(beside, dict) else {}
        filename = decode(one.filename, "utf-8", notes) or _text(beside.get("filename"))
        attachments.add(one.content, one.content_type or _text(beside.get("type")), filename)


def _text(told: object) -> str:
    """A text of a JSON document; what is none is not spelt out for each file anew."""
    return told if isinstance(told, str) else ""


def _document(form: Form, name: str) -> Mapping[str, Any]:
    """A field that holds a JSON object; empty where it holds none, for an e-mail can be read without."""
    content = form.fields.get(name, b"")
    told = _json(content) if len(content) <= _DOCUMENT_BYTES_MAX else None
    return told if isinstance(told, dict) else {}


def _json(content: bytes) -> Any:
    """What JSON says; None where it is none."""
    try:
        return json.loads(decode(content, "", Notes()))
    except (ValueError, RecursionError):
        return None


def _digest(form: Form) -> str:
    contents = [(name.encode(), form.fields.get(name, b"")) for name in _IDENTIFYING]
    files = [(one.filename, one.content) for one in form.files]
    digest = sha256()
    for name, content in (*contents, *files):
        digest.update(b"%d %d " % (len(name), len(content)))
        digest.update(name)
        digest.update(content)
    return digest.hexdigest()
