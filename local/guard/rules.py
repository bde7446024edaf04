"""Which requests a local port refuses, so that no web page in the developer's browser can use it.

Every browser marks a page's request: `Sec-Fetch-Site` on each one to the loopback interface, `Origin` on each one that
writes or crosses origins. A page whose name was rebound to 127.0.0.1 sends neither with a GET, but its own name as
`Host`. The programs that belong here send none of these, so the three are refused on every path and method, and no
answer allows an origin. The local AWS also demands the access key of this start.

Standard library only: this file also runs in the local AWS's own virtual environment.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from hmac import compare_digest
from urllib.parse import parse_qs

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})

_OF_BROWSERS = ("origin", "sec-fetch-site")
_HOST = re.compile(r"(\[[0-9a-f:]+\]|[^:\[\]]+)(?::\d+)?", re.IGNORECASE)
_CREDENTIAL = re.compile(r"\bCredential=([^/,\s]+)/")


def refusal(headers: Mapping[str, str], *, hosts: Collection[str] = LOOPBACK_HOSTS) -> str | None:
    """Why a request is refused; None: it comes from a program that named one of our hosts.

    Args:
        headers: by lower-case name.
        hosts: the names that the port answers to, without a port.
    """
    for name in _OF_BROWSERS:
        if name in headers:
            return f"refused: a request of a browser ({name})"
    named = _HOST.fullmatch(headers.get("host", ""))
    if named is None or named[1].lower() not in hosts:
        return "refused: a foreign Host"
    return None


def bears_key(headers: Mapping[str, str], query: str, access_key: str) -> bool:
    """Whether a request to the local AWS is signed under the access key of this start."""
    in_header = _CREDENTIAL.search(headers.get("authorization", ""))
    in_query = parse_qs(query).get("X-Amz-Credential", [""])[0].partition("/")[0]
    given = in_header[1] if in_header else in_query
    return compare_digest(given.encode(), access_key.encode())
