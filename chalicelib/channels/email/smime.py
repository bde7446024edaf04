"""The content of an S/MIME message that is signed opaquely: the e-mail is inside the signature (RFC 5652, 5.1).

Guarantee: linear in the content and never deeper than a few levels. Signatures are not checked: authentication uses
the e-mail's delivery. Encrypted content is noted as encrypted. Compressed content is not unpacked.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

_OBJECT_ID, _OCTETS, _SEQUENCE, _SET, _FIRST = 0x06, 0x04, 0x30, 0x31, 0xA0
_CONSTRUCTED: Final = 0x20
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_ENCRYPTED_DATA = (bytes.fromhex("2a864886f70d010703"), bytes.fromhex("2a864886f70d0109100117"))
_DEPTH_MAX = 8
_ELEMENTS_MAX = 50_000
_LENGTH_BYTES_MAX = 4
_END = b"\x00\x00"


class Sealed(Enum):
    """Why there is no content to read."""

    ENCRYPTED = "encrypted"
    UNREADABLE = "unreadable"


def signed_content(data: bytes) -> bytes | Sealed:
    """The e-mail within an opaque signature."""
    try:
        return _Reader(data).content()
    except (IndexError, ValueError):  # it ends too soon, or is no such structure
        return Sealed.UNREADABLE


class _Reader:
    """Reads elements in BER: with a length, or without one up to two zero bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._elements = 0

    def content(self) -> bytes | Sealed:
        place = self._enter(0, _SEQUENCE)
        kind, place = self._primitive(place, _OBJECT_ID)
        if kind in _ENCRYPTED_DATA:
            return Sealed.ENCRYPTED
        if kind != _SIGNED_DATA:
            return Sealed.UNREADABLE
        place = self._enter(self._enter(place, _FIRST), _SEQUENCE)
        place = self._end_of(self._end_of(place, 0), 0)  # the version, and the digests' names
        place = self._enter(place, _SEQUENCE)
        place = self._enter(self._end_of(place, 0), _FIRST)
        return b"".join(self._octets(place, 0))

    def _head(self, place: int) -> tuple[int, int, int | None]:
        """The tag of an element, where its content begins, and where that ends; None: at two zero bytes."""
        self._elements += 1
        if self._elements > _ELEMENTS_MAX:
            raise ValueError("too many elements")
        tag, length = self._data[place], self._data[place + 1]
        place += 2
        if length == 0x80:  # noqa: PLR2004 - of no stated length
            return tag, place, None
        if length & 0x80:
            count = length & 0x7F
            if count > _LENGTH_BYTES_MAX:
                raise ValueError("a length beyond all bounds")
            length = int.from_bytes(self._data[place : place + count])
            place += count
        if place + length > len(self._data):
            raise ValueError("an element ends behind the content")
        return tag, place, place + length

    def _enter(self, place: int, wanted: int) -> int:
        tag, start, _ = self._head(place)
        if tag != wanted:
            raise ValueError("another structure")
        return start

    def _primitive(self, place: int, wanted: int) -> tuple[bytes, int]:
        tag, start, end = self._head(place)
        if tag != wanted or end is None:
            raise ValueError("another structure")
        return self._data[start:end], end

    def _end_of(self, place: int, depth: int) -> int:
        """Where an element ends."""
        if depth > _DEPTH_MAX:
            raise ValueError("nested too deeply")
        _, place, end = self._head(place)
        if end is not None:
            return end
        while self._data[place : place + 2] != _END:
            place = self._end_of(place, depth + 1)
        return place + 2

    def _octets(self, place: int, depth: int) -> list[bytes]:
        """The bytes of an octet string, which may be made of others."""
        if depth > _DEPTH_MAX:
            raise ValueError("nested too deeply")
        tag, place, end = self._head(place)
        if tag == _OCTETS and end is not None:
            return [self._data[place:end]]
        if tag != _OCTETS | _CONSTRUCTED:
            raise ValueError("another structure")
        pieces: list[bytes] = []
        while place < end if end is not None else self._data[place : place + 2] != _END:
            pieces += self._octets(place, depth + 1)
            place = self._end_of(place, depth + 1)
        return pieces
