"""The type of an attachment that its sender declares only as a file: by its first bytes, then by its name.

`application/octet-stream` says nothing; mail programs write it for every type that they do not know. The first bytes
decide, by the signatures of puremagic. The name only chooses between formats that begin alike, such as Word's and
Excel's, or between kinds of text. A name never makes a program a document.
"""

from __future__ import annotations

from typing import Final

import puremagic

from chalicelib.ports.buckets import UNKNOWN_TYPE

GENERIC_TYPES: Final = frozenset(
    {
        "",
        "application/octet-stream",
        "application/octetstream",
        "application/binary",
        "application/download",
        "application/force-download",
        "application/x-download",
        "application/x-unknown",
        "application/unknown",
        "binary/octet-stream",
        "unknown/unknown",
        "application/x-octet-stream",
    }
)
"""What mail programs write where they do not know."""

_HEAD_BYTES = 4_096
_TEXTS: Final = {
    "txt": "text/plain",
    "text": "text/plain",
    "log": "text/plain",
    "md": "text/plain",
    "csv": "text/csv",
    "ics": "text/calendar",
    "vcs": "text/calendar",
    "vcf": "text/vcard",
    "eml": "message/rfc822",
}
"""Formats without a signature, by the ending of a name."""
_NAMED: Final = {
    "doc": "application/msword",
    "dot": "application/msword",
    "xls": "application/vnd.ms-excel",
    "ppt": "application/vnd.ms-powerpoint",
    "pps": "application/vnd.ms-powerpoint",
    "msg": "application/vnd.ms-outlook",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "docm": "application/vnd.ms-word.document.macroenabled.12",
    "xlsm": "application/vnd.ms-excel.sheet.macroenabled.12",
    "pptm": "application/vnd.ms-powerpoint.presentation.macroenabled.12",
    "jar": "application/java-archive",
    "apk": "application/vnd.android.package-archive",
    "p7m": "application/pkcs7-mime",
    "p7s": "application/pkcs7-signature",
}
"""Formats that begin like others, by the ending of a name."""
_OF_CONTAINER: Final = {
    b"PK\x03\x04": frozenset(["docx", "xlsx", "pptx", "odt", "ods", "odp", "docm", "xlsm", "pptm", "jar", "apk"]),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": frozenset(["doc", "dot", "xls", "ppt", "pps", "msg"]),
    b"0": frozenset({"p7m", "p7s"}),
}


def type_of(content: bytes, claimed: str, name: str) -> str:
    """The content type of an attachment: the claimed one unless that says nothing.

    Args:
        content: its content.
        claimed: the bare type that its sender wrote, in lower case.
        name: its file's name.
    """
    if claimed not in GENERIC_TYPES:
        return claimed
    head, ending = content[:_HEAD_BYTES], name.lower().rpartition(".")[2] if "." in name else ""
    for start, endings in _OF_CONTAINER.items():
        if head.startswith(start) and ending in endings:
            return _NAMED[ending]
    if head.startswith(b"PK\x03\x04"):
        return "application/zip"
    found = _by_signature(head)
    if found is not None:
        return found
    if ending in _TEXTS and b"\x00" not in head:
        return _TEXTS[ending]
    return UNKNOWN_TYPE


def _by_signature(head: bytes) -> str | None:
    try:
        matches = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):  # it begins like nothing that is known, or is empty
        return None
    return next((one.mime_type for one in matches if one.mime_type), None)
