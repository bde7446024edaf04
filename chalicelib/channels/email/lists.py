"""Who wrote an e-mail that a company's own list passed on, such as a Google Group at its public address.

    the list is named in the company's policy, and the e-mail authenticates as the list's domain
        From is the list's address      the author is who `X-Original-From` or `X-Original-Sender` names
        From is somebody else's         the author is that, as the list left it
    anything else                       no list: the e-mail is judged by its own header From

Google Groups rewrites From if the author's domain forbids others to pass on its mail (DMARC). It keeps the author in
`X-Original-From` and `X-Original-Sender`. Anybody can write these headers. So they count only below the list's own
signature, if each stands there once and they agree. The list is responsible for checking its author.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from chalicelib.channels.email.addresses import address, mailboxes
from chalicelib.channels.email.authentication import Verdict, judge
from chalicelib.channels.email.headers import Headers

_NAMED_IN = ("list-post", "mailing-list", "x-beenthere", "list-id")
_ADDRESS = re.compile(r"[^\s<>:,;@\"]{1,64}@[^\s<>:,;@\"]{1,255}")
_LIST_ID = re.compile(r"<([^\s<>@.]{1,64})\.([^\s<>@]{1,255})>")


@dataclass(frozen=True, repr=False)
class Author:
    """Who wrote an e-mail, and whether their domain, or the list's, vouches for it."""

    name: str
    address: str
    verdict: Verdict


def author_by_list(
    headers: Headers, lists: Collection[str], *, spf: str | None, dkim: str | None, return_path: str
) -> Author | None:
    """The author of an e-mail that one of a company's lists passed on; None: none of them did.

    Args:
        headers: of the e-mail.
        lists: the addresses of the company's lists.
        spf: SendGrid's field `SPF`; None: it told none.
        dkim: its field `dkim`; None: it told none.
        return_path: the envelope's sender; empty: none.
    """
    lists = {spelt for one in lists if (spelt := address(one)) is not None}
    claimed = [one for value in headers.all("from") for one in mailboxes(value)]
    named = {one for _, one in claimed} | _named_lists(headers)
    verdicts = [judge(spf=spf, dkim=dkim, sender=one, return_path=return_path) for one in lists & named]
    if Verdict.PASS not in verdicts or len(claimed) != 1:
        return None
    (name, sender) = claimed[0]
    if sender not in lists:
        return Author(name, sender, Verdict.PASS)
    values = [headers.all(one) for one in ("x-original-from", "x-original-sender")]
    told = [one for value in values for one in mailboxes(", ".join(value))]
    is_clear = all(len(value) <= 1 for value in values) and len({one for _, one in told}) == 1
    return Author(*told[0], Verdict.PASS) if is_clear and told[0][1] not in lists else None


def _named_lists(headers: Headers) -> set[str]:
    """The addresses that headers give for lists that the e-mail came through."""
    values = [value for name in _NAMED_IN for value in headers.all(name)]
    spelt = {address(one) for value in values for one in _ADDRESS.findall(value)}
    by_id = {address(f"{one[1]}@{one[2]}") for value in headers.all("list-id") for one in _LIST_ID.finditer(value)}
    return {one for one in spelt | by_id if one is not None}
