"""Undoes the transfer encoding of a part.

Guarantee: any bytes give content, in time proportional to their length; a note says what is damaged.
"""

from __future__ import annotations

import binascii
import string

from chalicelib.channels.email.notes import Note, Notes

_NO_BASE64 = bytes(set(range(256)) - set((string.ascii_letters + string.digits + "+/=").encode()))


def decoded(encoding: str, body: bytes, notes: Notes) -> bytes:
    """A part's content; as much as can be had where it is damaged."""
    match encoding.partition(";")[0].strip().lower():
        case "base64":
            return _from_base64(body, notes)
        case "quoted-printable":
            return binascii.a2b_qp(body)
        case _:
            return body


def _from_base64(body: bytes, notes: Notes) -> bytes:
    """Each block up to its padding: some programs encode piece by piece, and the library stops at the first."""
    letters = body.translate(None, _NO_BASE64)
    if len(letters) % 4:
        notes.add(Note.ENCODING)
    blocks = []
    for block in filter(None, letters.split(b"=")):
        if len(block) % 4 == 1:  # one letter holds no byte
            notes.add(Note.ENCODING)
        whole = block[:-1] if len(block) % 4 == 1 else block
        blocks.append(binascii.a2b_base64(whole + b"=" * (-len(whole) % 4)))
    return b"".join(blocks)
