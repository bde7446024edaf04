"""The fields of SendGrid's form for one e-mail, in either of its modes: parsed into fields, or raw in one field.

parsed   headers, text, html, attachment1 ... attachmentN and attachment-info; each text's character set in charsets
raw      email: the e-mail as it went over the wire
both     envelope (who it is for), from, subject, cc, SPF, dkim, spam_score, charsets

It is read in two steps. `read_mail` splits the form without a copy and reads the envelope. With the header From that is
enough to find the conversation and its secret. `Mail.whole`, `Mail.headers` and `read_content` read the rest, for
verified e-mails only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, Final, TypedDict

from chalicelib.channels.email.addresses import address
from chalicelib.channels.email.attachments import Attachments
from chalicelib.channels.email.charsets import decode
from chalicelib.channels.email.headers import BLOCK_BYTES_MAX, Headers
from chalicelib.channels.email.mime import head_and_body, read_files, read_mime
from chalicelib.channels.email.notes import Notes
from chalicelib.channels.email.texts import Shown
from chalicelib.channels.provider import WebhookRequest
from chalicelib.channels.sendgrid.form import Form, read_form
from chalicelib.errors import Code, Rejected

RECIPIENTS_MAX: Final = 20
"""Addresses that one e-mail is for; each is looked up and proven on its own."""

_ENVELOPE_BYTES_MAX: Final = 16_384
_DOCUMENT_BYTES_MAX: Final = 262_144
_HEAD_BYTES_MAX: Final = BLOCK_BYTES_MAX + 1_024
"""Of the headers, and a blank line: as much as is read of them."""
_FROM_BYTES_MAX: Final = 1_024
"""Of what names the sender, as much as is read as addresses before anybody has verified the e-mail."""
_LONG_FROM_BYTES_MAX: Final = 16_384
"""Of what names the sender, as far as the end of an address is looked for behind a long name."""
_ADDRESS_BYTES_MAX: Final = 512
"""Of that end."""
_FROM = re.compile(rb"\nfrom[ \t]{0,80}:")
_FOLDED = re.compile(rb"[^\n]*(?:\n[ \t][^\n]*)*")
"""A header's value, with the lines on which it goes on."""
_NOT_ASCII: Final = bytes(range(0x80, 0x100))
_TOLD_BYTES_MAX: Final = 65_536
"""Of a field that SendGrid tells beside the e-mail."""
_TOLD: Final = ("from", "subject", "cc", "SPF", "dkim", "spam_score")
_IDENTIFYING: Final = ("headers", "from", "subject", "text", "html", "email")
"""The fields that are the same whenever SendGrid posts the same e-mail, and tell it from others."""


@dataclass(frozen=True, repr=False)
class Envelope:
    """What the servers agreed on, whatever the e-mail itself says."""

    recipients: tuple[str, ...]
    """Distinct addresses in lower case, in their order."""
    return_path: str | None
    """Where bounces go; empty: nowhere, for it is one itself; None: not told."""


class Results(TypedDict):
    """What `judge` judges by."""

    spf: str | None
    dkim: str | None
    return_path: str


@dataclass(frozen=True, repr=False)
class Mail:
    """One e-mail as it was posted: its envelope is read, its headers and its content when they are asked for."""

    envelope: Envelope
    form: Form
    is_raw: bool
    """Whether SendGrid posted it as it went over the wire, and not taken apart."""
    notes: Notes

    @property
    def head(self) -> bytes:
        """The headers as they were posted, perhaps with the beginning of what follows them."""
        return bytes(self.form.fields.view("email" if self.is_raw else "headers")[:_HEAD_BYTES_MAX])

    @cached_property
    def charsets(self) -> Mapping[str, Any]:
        """Of the form's fields, by their names."""
        return _document(self.form, "charsets")

    @cached_property
    def fields(self) -> Mapping[str, str]:
        """What SendGrid tells beside it, as far as it told it; what could not be read goes to `notes`."""
        told = [name for name in _TOLD if name in self.form.fields]
        return {name: _text_of(self.form, self.charsets, name, self.notes, _TOLD_BYTES_MAX) for name in told}

    @cached_property
    def headers(self) -> Headers:
        """The headers; what could not be read goes to `notes`."""
        if self.is_raw:
            return head_and_body(self.head, self.notes)[0]
        return Headers.parse(self.head, self.notes)

    @property
    def first_from(self) -> str:
        """The beginning of the header From, found without reading the others; empty: none is written as usual.

        It finds the conversation of an e-mail that nobody has verified. Once it is verified, its sender is read anew
        from `headers`.
        """
        head = b"\n" + self.head
        found = _FROM.search(head.lower())
        if found is None:
            return ""
        folded = _FOLDED.match(head, found.end(), found.end() + _LONG_FROM_BYTES_MAX)
        assert folded is not None, "it matches any bytes"
        return decode(_first_mailbox_of(folded[0]), "", Notes()).replace("\r\n", "").replace("\n", "").strip()

    def whole(self) -> Mail:
        """The e-mail of the whole form. The caller holds that its request is verified.

        Raises:
            Rejected: `PARSING_ERROR`; the form has no single reading, or another envelope.
        """
        form = self.form.whole()
        if form is self.form:
            return self
        mail = _mail_of(form, self.notes)
        if mail.envelope != self.envelope:
            raise Rejected(Code.PARSING_ERROR, "the form's envelope was cut off")
        return mail

    @property
    def told_from(self) -> str:
        """The beginning of SendGrid's field `from`, which finds the conversation where the header From names nobody.

        Once the e-mail is verified, its sender is read anew from `headers` and `fields`.
        """
        return decode(_first_mailbox_of(bytes(self.form.fields.view("from")[:_LONG_FROM_BYTES_MAX])), "", Notes())

    @property
    def results(self) -> Results:
        """What SendGrid found out about who sent it."""
        return {
            "spf": self.fields.get("SPF"),
            "dkim": self.fields.get("dkim"),
            "return_path": self.envelope.return_path or "",
        }


def read_mail(
    request: WebhookRequest,
    notes: Notes,
    *,
    sample_start: Callable[[int], int],
    searched: Callable[[int], None] | None = None,
) -> Mail:
    """The e-mail of a request, as far as it is read before the request is verified.

    Args:
        request: as it came in.
        notes: what could not be read is added.
        sample_start: a number below the one given, which nobody can foresee.
        searched: is called with each place up to which the body has just been searched.

    Raises:
        Rejected: `PARSING_ERROR`, `MISSING_REQUIRED_FIELD`; the detail names the field, never its value.
    """
    content_type = request.headers.get("content-type", "")
    form = read_form(content_type, request.body, sample_start=sample_start, searched=searched)
    return _mail_of(form if _names_both_sides(form) else form.searched(), notes)


def _names_both_sides(form: Form) -> bool:
    """Whether it is certain what the fields say that find the conversation: more of the form would not change it."""
    heads = [name for name in ("headers", "email") if name in form.fields]
    needed = [name for name in ("envelope", "from") if name in form.fields and name not in form.cut]
    is_head_certain = all(name not in form.cut or len(form.fields.view(name)) >= _HEAD_BYTES_MAX for name in heads)
    return len(needed) == len(("envelope", "from")) and bool(heads) and is_head_certain


def _mail_of(form: Form, notes: Notes) -> Mail:
    envelope = _envelope(form.fields.get("envelope", b""))
    if "email" in form.fields and "headers" in form.fields:  # each mode has one: the other is the sender's own words
        raise Rejected(Code.PARSING_ERROR, "the form is in both of SendGrid's modes")
    return Mail(envelope, form, bool(form.fields.view("email")), notes)


def read_content(mail: Mail, attachments: Attachments, notes: Notes) -> Sequence[Shown]:
    """The texts of an e-mail; its attachments go to `attachments`, and what could not be read to `notes`."""
    if mail.is_raw:
        _, body = head_and_body(mail.form.fields["email"], Notes())
        return read_mime(mail.headers, body, attachments, notes)
    plain, html = (_text_of(mail.form, mail.charsets, name, notes) for name in ("text", "html"))
    return read_files([Shown(plain, html)], _files(mail.form, notes), attachments, notes)


def _text_of(form: Form, charsets: Mapping[str, Any], name: str, notes: Notes, bytes_max: int | None = None) -> str:
    """A field in its own character set, up to `bytes_max`; None: all of it."""
    label = charsets.get(name)
    return decode(bytes(form.fields.view(name)[:bytes_max]), label if isinstance(label, str) else "", notes)


def _first_mailbox_of(told: bytes) -> bytes:
    """As much of a From as names its first mailbox: its beginning, and, of a long name, the end with the address.

    To read all of it as addresses could take a millisecond more.
    """
    end = told.find(b">") + 1
    if end <= _FROM_BYTES_MAX + _ADDRESS_BYTES_MAX:
        return told[: max(end, _FROM_BYTES_MAX)]
    beginning, rest = told[:_FROM_BYTES_MAX], told[end - _ADDRESS_BYTES_MAX : end]
    return b"%b %b" % (beginning.rstrip(_NOT_ASCII), rest.lstrip(_NOT_ASCII))  # no part of a character is left


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


def _files(form: Form, notes: Notes) -> Iterator[tuple[bytes, str, str]]:
    """The files of the form. SendGrid's description fills in what their own headers lack."""
    info = _document(form, "attachment-info")
    for one in form.files:
        beside = info.get(one.field)
        beside = beside if isinstance(beside, dict) else {}
        filename = decode(one.filename, "utf-8", notes) or _text(beside.get("filename"))
        yield one.content, one.content_type or _text(beside.get("type")), filename


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


def digest_of(mail: Mail) -> str:
    """A digest of all that an e-mail says, for one that has no id: the same whenever it is posted."""
    form = mail.form
    contents = [(name.encode(), form.fields.view(name)) for name in _IDENTIFYING]
    files = [(one.filename, one.view) for one in form.files]
    digest = sha256()
    for name, content in (*contents, *files):
        digest.update(b"%d %d " % (len(name), len(content)))
        digest.update(name)
        digest.update(content)
    return digest.hexdigest()
