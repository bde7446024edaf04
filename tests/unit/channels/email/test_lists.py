"""Who wrote an e-mail that a company's own list passed on: the list vouches, and names the author."""

from __future__ import annotations

import pytest

from chalicelib.channels.email.authentication import Verdict
from chalicelib.channels.email.automatic import hints, is_own
from chalicelib.channels.email.headers import Headers
from chalicelib.channels.email.lists import Author, author_by_list
from chalicelib.channels.email.notes import Notes

LIST, ANN = "support@acme.example", "ann@customer.example"
BOUNCES = "support+bncABC@acme.example"
REWRITTEN = (
    f"From: 'Ann' via Support <{LIST}>",
    f"X-Original-From: Ann Doe <{ANN}>",
    f"X-Original-Sender: {ANN}",
    "List-ID: <support.acme.example>",
)
AS_IT_WAS = (f"From: Ann Doe <{ANN}>", f"X-Original-Sender: {ANN}", f"List-Post: <https://x.example>, <mailto:{LIST}>")


def headers(*lines: str) -> Headers:
    return Headers.parse("\r\n".join(lines).encode(), Notes())


def author(*lines: str, lists=(LIST,), spf="pass", dkim="none", return_path=BOUNCES) -> Author | None:
    return author_by_list(headers(*lines), lists, spf=spf, dkim=dkim, return_path=return_path)


@pytest.mark.parametrize(
    "lines",
    [
        REWRITTEN,
        AS_IT_WAS,
        REWRITTEN[:2],
        (REWRITTEN[0], REWRITTEN[2]),
        (AS_IT_WAS[0], f"Mailing-list: list {LIST}; contact x@acme.example"),
        (AS_IT_WAS[0], "List-ID: Support <support.acme.example>"),
        (AS_IT_WAS[0], f"X-BeenThere: {LIST}"),
    ],
)
def test_the_author_is_who_the_list_says(lines: tuple[str, ...]):
    """Whether it rewrote the header From or not."""
    found = author(*lines)

    assert found is not None
    assert (found.address, found.verdict) == (ANN, Verdict.PASS)


@pytest.mark.parametrize(
    "told",
    [
        {"lists": ()},
        {"lists": ("other@acme.example",)},
        {"spf": "fail"},
        {"spf": None, "dkim": None},
        {"return_path": "x@evil.example"},
        {"dkim": "{@evil.example : pass}", "spf": "none"},
    ],
)
@pytest.mark.parametrize("lines", [REWRITTEN, AS_IT_WAS])
def test_a_list_counts_where_the_company_names_it_and_its_domain_vouches(lines: tuple[str, ...], told):
    """Anybody can write its headers."""
    assert author(*lines, **told) is None


@pytest.mark.parametrize(
    "lines",
    [
        (REWRITTEN[0],),
        (*REWRITTEN, "X-Original-From: boss@acme.example"),
        (REWRITTEN[0], f"X-Original-From: {ANN}", "X-Original-Sender: boss@acme.example"),
        (REWRITTEN[0], f"X-Original-From: {ANN}, boss@acme.example"),
        (REWRITTEN[0], f"X-Original-Sender: {LIST}"),
        (*REWRITTEN, "From: boss@acme.example"),
    ],
)
def test_an_author_who_is_not_clear_is_none(lines: tuple[str, ...]):
    """A sender's own header may stand beside the list's."""
    assert author(*lines) is None


def test_a_sender_s_own_header_does_not_rename_them():
    """Where the list left the header From as it was."""
    found = author("From: mallory@evil.example", f"X-Original-From: {ANN}", f"List-Post: <mailto:{LIST}>")

    assert found is not None
    assert found.address == "mallory@evil.example"


def test_dkim_of_the_list_vouches_too():
    """Its return path may be a service's."""
    assert author(*REWRITTEN, spf="fail", dkim="{@acme.example : pass}", return_path="x@groups.example") is not None


def test_hints_tell_headers_that_refuse_nothing():
    """On one line, for whoever reads the context."""
    told = hints(
        headers("Precedence: list", "X-Auto-Response-Suppress: All", "List-Id: <support.acme.example>", "X-A: b")
    )

    assert told == "precedence=list, x-auto-response-suppress=All, list-id=<support.acme.example>"


@pytest.mark.parametrize(
    ("message_id", "is_ours"),
    [
        (f"<{'0a' * 20}@acme.example>", True),
        (f"<{'0a' * 20}@other.example>", False),
        (f"<{'0g' * 20}@acme.example>", False),
        (f"<{'0a' * 19}@acme.example>", False),
        ("<4711@acme.example>", False),
        ("", False),
    ],
)
def test_an_id_that_we_generated_is_known(message_id: str, is_ours: bool):
    """At the address that the e-mail came back to."""
    assert is_own(headers(f"Message-ID: {message_id}"), "help@acme.example") is is_ours


def test_of_several_named_lists_one_has_to_vouch():
    """A list may pass on what another has passed on, in whatever order the policy names them."""
    other = "all@other.example"
    lines = (*AS_IT_WAS, f"X-BeenThere: {other}")

    found = {author(*lines, lists=lists) for lists in ((LIST, other), (other, LIST))}

    assert found == {Author("Ann Doe", ANN, Verdict.PASS)}


def test_a_list_is_known_however_the_company_spells_it():
    """As addresses are compared everywhere; what is no address is no list."""
    assert author(*REWRITTEN, lists=("Support@ACME.example", "nobody")) is not None
