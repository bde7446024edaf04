"""Whether a machine wrote an e-mail, and what else its headers say about machines on its way.

    a machine's   its writer declares itself a machine: the AI never answers it, which prevents mail loops
    a hint        a header that asks others for silence, or names a list: it does not say who wrote the mail, because
                  Exchange and Google Groups add it to what people write, so it refuses nothing

A person's e-mail that is taken for a machine's is lost, so only the first kind refuses. Subjects ("Out of office") and
senders ("noreply") are neither: people write the first and write from the second.
"""

from __future__ import annotations

from chalicelib.channels.email.headers import Headers, one_line
from chalicelib.channels.email.threading import own_domain

_RESPONDERS = ("x-autoreply", "x-autorespond", "x-autoresponse", "x-mail-autoreply", "x-auto-reply-from")
"""Set by older programs that answer on holidays, before there was `Auto-Submitted`; their values differ."""

_BOUNCERS = ("mailer-daemon@",)
"""Not `postmaster`: at a small company a person reads and writes there."""

_HINTS = ("precedence", "x-auto-response-suppress", "list-id", "list-post", "list-unsubscribe", "feedback-id", "x-loop")
_HINT_BYTES_MAX = 60
_HINTS_BYTES_MAX = 200


def is_automatic(headers: Headers, return_path: str | None, sender: str) -> bool:
    """Whether an e-mail says of itself that it is an automatic reply, a bounce or a receipt.

    Args:
        headers: of the e-mail.
        return_path: where its bounces would go, from the envelope; empty: nowhere, so it is one; None: not told.
        sender: its address, in lower case.
    """
    submitted = _word(headers.get("auto-submitted"))  # RFC 3834: anything but `no`
    kind, _, parameters = headers.get("content-type").lower().partition(";")
    return (
        submitted not in {"", "no"}
        or _word(headers.get("precedence")) == "auto_reply"
        or any(headers.get(name) for name in _RESPONDERS)
        or return_path == ""
        or headers.get("return-path").replace(" ", "") == "<>"
        or bool(headers.get("x-failed-recipients"))  # Exim's and Google's bounces
        or sender.startswith(_BOUNCERS)
        or (kind.strip() == "multipart/report" and "report-type" in parameters)  # delivery and reading (RFC 6522)
    )


def is_own(headers: Headers, recipient: str) -> bool:
    """Whether we sent an e-mail ourselves, from the address that it is for, and it came back."""
    return own_domain(headers.get("message-id")) == recipient.rpartition("@")[2]


def hints(headers: Headers) -> str:
    """What headers say of lists and machines without saying who wrote: names and values, on one line."""
    told = [f"{name}={value}" for name in _HINTS if (value := one_line(headers.get(name), bytes_max=_HINT_BYTES_MAX))]
    return one_line(", ".join(told), bytes_max=_HINTS_BYTES_MAX)


def _word(value: str) -> str:
    """The first word of a header, without its parameters and comments."""
    return value.replace("(", ";").partition(";")[0].strip().lower()
