"""Whether the domain in an e-mail's From vouches for the e-mail, by the results that SendGrid found on receiving it.

    pass   a valid DKIM signature is of the sender's domain; or SPF passed, and the envelope's sender is of it
    fail   SendGrid gave results, and none is such a pass: `none`, `softfail` and another domain's pass are failures
    none   SendGrid gave no result at all; no sender can cause that

`none` and `neutral` fail on purpose: a forger uses a server that the domain does not mention. "Of a domain" means the
domain itself, one above it or one below it, as in DMARC's relaxed alignment. There is no list of public suffixes here.
But nobody signs for `com`, and only a domain's owner gives out names below it, except hosts of free subdomains. An
e-mail with several senders, or several headers From, does not pass.
"""

from __future__ import annotations

import re
from enum import StrEnum

from chalicelib.messages.email_domains import wire_domain

_DKIM = re.compile(r"@([^\s@:{},]{1,255})\s{0,8}:\s{0,8}([a-z]{1,16})")
"""SendGrid writes `{@example.com : pass, @other.example : fail}`, or `none`."""
_DKIM_LENGTH_MAX = 4_096
"""Some sixty signatures; whoever writes an e-mail says how many it has."""


class Verdict(StrEnum):
    """What is made of the results."""

    PASS = "pass"
    FAIL = "fail"
    NONE = "none"


def judge(*, spf: str | None, dkim: str | None, sender: str | None, return_path: str) -> Verdict:
    """What SPF and DKIM say of an e-mail's sender.

    Args:
        spf: SendGrid's field `SPF`; None: it told none.
        dkim: its field `dkim`; None: it told none.
        sender: the address that the e-mail says it is from; None: it does not say it of one.
        return_path: the envelope's sender; empty: none.
    """
    if spf is None and dkim is None:
        return Verdict.NONE
    if sender is None:
        return Verdict.FAIL
    vouching = [domain for domain, result in _DKIM.findall((dkim or "")[:_DKIM_LENGTH_MAX].lower()) if result == "pass"]
    if (spf or "").strip().lower() == "pass":
        vouching.append(return_path)
    domain = _domain(sender)
    return Verdict.PASS if any(_is_aligned(domain, _domain(one)) for one in vouching) else Verdict.FAIL


def _domain(text: str) -> str:
    """The domain of an address, as it goes over the wire: `xn--mnchen-3ya.example` for `münchen.example`."""
    told = text.rpartition("@")[2].strip().rstrip(".").lower()
    return told if told.isascii() else wire_domain(told)  # no domain: it is aligned with nothing


def _is_aligned(one: str, other: str) -> bool:
    """Whether two domains are the same, or one is above the other and has two labels or more."""
    above, below = sorted((one, other), key=len)
    return "." in above and (below == above or below.endswith(f".{above}"))
