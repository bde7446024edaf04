"""Addresses of headers: read in one way, the same on every version of Python."""

from __future__ import annotations

import time

import pytest

from chalicelib.channels.email.addresses import first_mailbox, mailboxes
from chalicelib.channels.email.authentication import Verdict, judge

ANN = "ann@customer.example"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("ann@customer.example", ""),
        ("<ann@customer.example>", ""),
        ("Ann <ann@customer.example>", "Ann"),
        ("Ann<Ann@Customer.Example>", "Ann"),
        ('"Doe, Ann" <ann@customer.example>', "Doe, Ann"),
        ("Doe, Ann <ann@customer.example>", "Doe, Ann"),
        ("Doe; Ann <ann@customer.example>", "Doe; Ann"),
        ("ann@customer.example <ann@customer.example>", "ann@customer.example"),
        ("ann@home.example <ann@customer.example>", "ann@home.example"),
        ("ann@home.example, Inc. <ann@customer.example>", "ann@home.example, Inc."),
        ('"boss@acme.example" <ann@customer.example>', "boss@acme.example"),
        ('"<boss@acme.example>" <ann@customer.example>', "<boss@acme.example>"),
        ("Ann <ann@home.example> <ann@customer.example>", "Ann <ann@home.example>"),
        ("Ann [Shop] (sales) <ann@customer.example>", "Ann [Shop] (sales)"),
        ("Ann <3 <ann@customer.example>", "Ann <3"),
        ("ann@customer.example (Ann, of the shop)", "Ann, of the shop"),
        ("(Ann) ann@customer.example", "Ann"),
        ("Ann ann@customer.example", "Ann"),
        ('"Ann \\"The\\" Doe" <ann@customer.example>', 'Ann "The" Doe'),
        ('"unclosed <ann@customer.example>', '"unclosed'),
        ("Ann <ann@customer.example", "Ann"),
        ("<<ann@customer.example>>", ""),
        ("=?utf-8?q?boss=40acme=2Eexample=2C?= <ann@customer.example>", "=?utf-8?q?boss=40acme=2Eexample=2C?="),
        ("=?utf-8?b?PG1AYS5leGFtcGxlPg==?= <ann@customer.example>", "=?utf-8?b?PG1AYS5leGFtcGxlPg==?="),
        ("'Ann' via Support <ann@customer.example>", "'Ann' via Support"),
        ("Shop: ann@customer.example;", "Shop"),
    ],
)
def test_the_address_in_the_brackets_is_the_one(value: str, name: str):
    """Whatever the name before it holds; without brackets it is the one word that is an address."""
    ((told, address),) = mailboxes(value)

    assert (told.replace("  ", " "), address) == (name, ANN)


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("Ann <ann+shop@customer.example>", "ann+shop@customer.example"),
        ("ann@münchen.example", "ann@münchen.example"),
        ("Ann <änn@xn--mnchen-3ya.example>", "änn@xn--mnchen-3ya.example"),
        ('"ann..doe."@customer.example', "ann..doe.@customer.example"),
        ('Ann <"ann..doe."@customer.example>', "ann..doe.@customer.example"),
    ],
)
def test_an_address_may_be_unusual(value: str, address: str):
    """With a plus, in another script, with quotes that it need not have."""
    assert [one for _, one in mailboxes(value)] == [address]


@pytest.mark.parametrize(
    "value",
    [
        "ann@customer.example, bob@other.example",
        "ann@customer.example;bob@other.example",
        "Ann <ann@customer.example>, Bob <bob@other.example>",
        '"Doe, Ann" <ann@customer.example>, "Roe, Bob" <bob@other.example>',
        "Doe, Ann <ann@customer.example>, Roe, Bob <bob@other.example>",
        "Shop: ann@customer.example, Bob <bob@other.example>, Bob <bob@other.example>;",
    ],
)
def test_several_authors_are_several(value: str):
    """Each with an address of their own."""
    assert list(dict.fromkeys(one for _, one in mailboxes(value))) == [ANN, "bob@other.example"]


@pytest.mark.parametrize("value", ["", "Ann", "<>", "a@b@c", "undisclosed-recipients:;", "(((", "@", "<ann>", "ann@"])
def test_a_header_may_name_nobody(value: str):
    """Then the envelope's sender is taken."""
    assert mailboxes(value) == []


@pytest.mark.parametrize(
    "piece",
    ['"', '"\\', "(", "()", "<", "<a@b>", "<a@b>,", "a@b ", "@:", "a,", "=?", ",", "@,", "@,;", "<@>,", "a@,,,,,,,,"],
)
def test_a_bent_header_takes_bounded_time(piece: str):
    """Whatever is repeated in it: the header of an unverified e-mail is read, so a second is for a hundred of them."""
    began = time.process_time()

    for _ in range(100):
        first_mailbox(f"@{piece * 100_000}")

    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "value",
    ["Doe, Ann <ann@a.example>", "a@x.example, b@y.example", "Ann <a@x.example>, Bob <b@y.example>", "Ann", "", ",,"],
)
def test_the_first_mailbox_is_the_first_of_all(value: str):
    """Those behind it are not read."""
    assert first_mailbox(value) == next(iter(mailboxes(value)), None)


@pytest.mark.parametrize(("sender", "signer"), [("münchen", "xn--mnchen-3ya"), ("xn--mnchen-3ya", "münchen")])
def test_a_domain_vouches_for_itself_in_either_spelling(sender: str, signer: str):
    """Headers may have letters that the wire has not."""
    verdict = judge(spf="none", dkim=f"{{@{signer}.example : pass}}", sender=f"ann@{sender}.example", return_path="")

    assert verdict is Verdict.PASS


@pytest.mark.parametrize("domain", ["\u0660" * 70 + ".example", "a..ä", "ä" * 300])
def test_a_domain_that_is_none_vouches_for_nobody(domain: str):
    """And raises nothing."""
    verdict = judge(spf="pass", dkim=None, sender=f"ann@{domain}", return_path=f"ann@{domain}")

    assert verdict is Verdict.FAIL
