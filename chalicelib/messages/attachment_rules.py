"""Which attachments and media are kept, by their number, size and type. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from fnmatch import fnmatchcase

from chalicelib.settings import Settings

TOO_MANY = "too_many"
TOO_LARGE = "too_large"
TYPE_NOT_ALLOWED = "type_not_allowed"

_ENDINGS_OF_ACTIVE = ("+xml", "/xml", "/x-sh", "/x-csh", "/x-bat", "/wasm", "/x-perl", "/x-python")
_WORDS_OF_ACTIVE = (
    "svg",
    "html",
    "script",
    "macroenabled",
    "shockwave",
    "java-archive",
    "android.package",
    "mimearchive",
    "x-ms",
    "msdownload",
    "executable",
    "dosexec",
    "httpd-php",
)
"""What the names of types have that a browser or an office program runs programs of: an SVG, compressed or not, a page,
a document with macros. No pattern admits them, only their whole name."""

_ACTIVE_BY_NAME = {
    "svg": "image/svg+xml",
    "svgz": "image/svg+xml-compressed",
    **dict.fromkeys(("htm", "html", "shtml"), "text/html"),
    **dict.fromkeys(("xht", "xhtml"), "application/xhtml+xml"),
    **dict.fromkeys(("mht", "mhtml"), "application/x-mimearchive"),
    "hta": "application/hta",
    "swf": "application/x-shockwave-flash",
    "jar": "application/java-archive",
    "apk": "application/vnd.android.package-archive",
    **dict.fromkeys(("js", "mjs", "jse"), "text/javascript"),
    **dict.fromkeys(("vbs", "vbe", "wsf", "wsh", "ps1", "psm1", "sct"), "application/x-script"),
    **dict.fromkeys(("bat", "cmd", "sh", "command"), "application/x-sh"),
    **dict.fromkeys(
        ("exe", "com", "dll", "scr", "pif", "cpl", "msi", "msp", "msix", "appx", "lnk", "reg", "chm", "scf", "inf"),
        "application/x-msdownload",
    ),
    **dict.fromkeys(
        ("url", "website", "desktop", "rdp", "jnlp", "xbap", "application", "appref-ms", "library-ms", "search-ms"),
        "application/x-mswinurl",
    ),
    **dict.fromkeys(("settingcontent-ms", "msc", "gadget", "ws", "iqy", "slk", "wll"), "application/x-msdownload"),
    **dict.fromkeys(("iso", "img", "vhd", "vhdx", "dmg", "pkg"), "application/x-iso9660-image"),
    **dict.fromkeys(("py", "pyw", "pyz"), "application/x-python"),
    "docm": "application/vnd.ms-word.document.macroenabled.12",
    "dotm": "application/vnd.ms-word.template.macroenabled.12",
    "xlsm": "application/vnd.ms-excel.sheet.macroenabled.12",
    "xltm": "application/vnd.ms-excel.template.macroenabled.12",
    "xlsb": "application/vnd.ms-excel.sheet.binary.macroenabled.12",
    **dict.fromkeys(("xlam", "xla", "xll"), "application/vnd.ms-excel.addin.macroenabled.12"),
    "pptm": "application/vnd.ms-powerpoint.presentation.macroenabled.12",
    "potm": "application/vnd.ms-powerpoint.template.macroenabled.12",
    "ppsm": "application/vnd.ms-powerpoint.slideshow.macroenabled.12",
    **dict.fromkeys(("ppam", "ppa"), "application/vnd.ms-powerpoint.addin.macroenabled.12"),
    "sldm": "application/vnd.ms-powerpoint.slide.macroenabled.12",
}
"""The type of what runs by the ending of its name, which decides on a person's machine whatever type was written."""


def problem_of(
    number: int, size_bytes: int, content_type: str, settings: Settings, *, filename: str | None = None
) -> str | None:
    """Why an attachment is not kept, by a word of ours; None: it is.

    Args:
        number: its place in its message, from 1.
        size_bytes: of its content; 0 where that is not known yet.
        content_type: as the sender told it, parameters and all.
        settings: the limits.
        filename: as the sender told it; None: they told none.
    """
    if number > settings.attachments_max:
        return TOO_MANY
    if size_bytes > settings.attachment_bytes_max:
        return TOO_LARGE
    bare = content_type.partition(";")[0].strip().lower()
    patterns = [one.lower() for one in settings.attachment_types]
    by_name = _ACTIVE_BY_NAME.get(_ending(filename or ""))
    is_allowed = _is_allowed(bare, patterns) and (by_name is None or by_name in patterns)
    return None if is_allowed else TYPE_NOT_ALLOWED


def _ending(filename: str) -> str:
    """What a name ends with, as Windows reads it: without dots and blanks behind it, without a stream's name.

    Characters that nobody sees are left out, and wide letters are plain ones: what saves the file may do so too.
    """
    plain = unicodedata.normalize("NFKC", filename.partition("\x00")[0])
    told = "".join(one for one in plain if unicodedata.category(one)[0] != "C").replace("\u3002", ".")
    _, dot, ending = told.partition(":")[0].rstrip("./\\~ \t\u00a0").lower().rpartition(".")
    return ending.strip() if dot else ""


def _is_allowed(bare: str, patterns: Sequence[str]) -> bool:
    if bare.endswith(_ENDINGS_OF_ACTIVE) or any(word in bare for word in _WORDS_OF_ACTIVE):
        return bare in patterns
    return any(fnmatchcase(bare, pattern) for pattern in patterns)
