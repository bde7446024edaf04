"""The two spellings of an e-mail address whose domain has letters beyond ASCII; pure.

    ann@münchen.example    ann@xn--mnchen-3ya.example

Mail programs write either into the header From, and a company's rows hold either. Guarantee: no text raises an error.
"""

from __future__ import annotations

_ENCODED = "xn--"


def wire_domain(domain: str) -> str:
    """A domain in lower case as it goes over the wire; empty: it is none."""
    try:
        return domain.encode("idna").decode()
    except UnicodeError:
        return ""


def other_spelling(address: str) -> str | None:
    """An address with its domain in the other spelling; None: it has one spelling only."""
    mailbox, at, domain = address.rpartition("@")
    try:
        other = domain.encode().decode("idna") if _ENCODED in domain and domain.isascii() else wire_domain(domain)
    except UnicodeError:
        return None
    return f"{mailbox}{at}{other.lower()}" if other and other.lower() != domain else None
