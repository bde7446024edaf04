"""Whether a machine wrote an e-mail: no AI answers those, or two machines would answer each other without end.

A person's message that is taken for a machine's is lost, so each sign is one that no mail program sets when a person
writes. Subjects ("Out of office") and senders ("noreply") are no signs: people write the first and write from the
second.
"""

from __future__ import annotations

from chalicelib.channels.email.headers import Headers

_LISTS = ("list-id", "list-post")
"""Of lists that people join (RFC 2919, 2369). Not `List-Unsubscribe`: sales programs set it on what people write."""

_RESPONDERS = ("x-autoreply", "x-autorespond", "x-autoresponse", "x-mail-autoreply", "x-auto-reply-from")
"""Set by older programs that answer on holidays, before there was `Auto-Submitted`; their values differ."""

_PRECEDENCES = frozenset({"bulk", "list", "junk", "auto_reply"})
"""Never standardised, and read by every holiday program; `first-class` and `normal` are people's."""

_SUPPRESSIONS = frozenset({"all", "autoreply"})
"""Exchange's own: it sets `All` on its notices. `DR, RN, NRN` alone ask for no receipts, which people's programs do,
and `OOF` alone asks for no holiday notice; `AutoReply` asks for no answer by a machine, and ours would be one."""

_BOUNCERS = ("mailer-daemon@",)
"""Not `postmaster`: at a small company a person reads and writes there."""


def is_automatic(headers: Headers, return_path: str | None, sender: str) -> bool:
    """Whether an e-mail is an automatic reply, a bounce, or comes from a list.

    Args:
        headers: of the e-mail.
        return_path: where its bounces would go, from the envelope; empty: nowhere, so it is one; None: not told.
        sender: its address, in lower case.
    """
    submitted = _word(headers.get("auto-submitted"))  # RFC 3834: anything but `no`
    kind, _, parameters = headers.get("content-type").lower().partition(";")
    return (
        submitted not in {"", "no"}
        or _word(headers.get("precedence")) in _PRECEDENCES
        or any(headers.get(name) for name in (*_LISTS, *_RESPONDERS))
        or bool(_words(headers.get("x-auto-response-suppress")) & _SUPPRESSIONS)
        or return_path == ""
        or headers.get("return-path").replace(" ", "") == "<>"
        or bool(headers.get("x-failed-recipients"))  # Exim's and Google's bounces
        or sender.startswith(_BOUNCERS)
        or (kind.strip() == "multipart/report" and "report-type" in parameters)  # delivery and reading (RFC 6522)
    )


def _word(value: str) -> str:
    """The first word of a header, without its parameters and comments."""
    return value.replace("(", ";").partition(";")[0].strip().lower()


def _words(value: str) -> frozenset[str]:
    return frozenset(word.strip().lower() for word in value.split(","))
