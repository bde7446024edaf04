"""What every provider's sender needs of `requests`: which failures are certain, and what must not be logged."""

from __future__ import annotations

import logging

from requests.exceptions import ConnectionError as RequestsConnectionError
from requests.exceptions import ConnectTimeout, RequestException
from urllib3.exceptions import NewConnectionError

logging.getLogger("urllib3").setLevel(logging.INFO)  # its DEBUG lines tell URLs, and a look-up's tells a number


def was_not_sent(error: RequestException) -> bool:
    """Whether the request certainly did not reach the provider: no connection was made."""
    if isinstance(error, ConnectTimeout):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, RequestsConnectionError) and isinstance(reason, NewConnectionError)


def whole_seconds(header: str | None) -> int:
    """The seconds that a header tells; 0 where it tells none."""
    return int(header) if header and header.isascii() and header.isdigit() else 0
