"""Spellings of phone numbers: which texts name the same phone."""

from __future__ import annotations

import phonenumbers
import pytest

from chalicelib.messages.phone_numbers import TABLE, all_spellings, bare, is_readable, other_spellings

PAIRS = {
    "Brazil": ("+5541988887777", "+554188887777"),
    "Brazil, Sao Paulo": ("+5511987654321", "+551187654321"),
    "Mexico": ("+525512345678", "+5215512345678"),
    "Argentina": ("+5491123456789", "+541123456789"),
    "Argentina, a longer area code": ("+5492614123456", "+542614123456"),
    "Benin": ("+2290197123456", "+22997123456"),
    "Ivory Coast, Moov": ("+2250101234567", "+22501234567"),
    "Ivory Coast, MTN": ("+2250544123456", "+22544123456"),
    "Ivory Coast, Orange": ("+2250748123456", "+22548123456"),
    "Ivory Coast, a landline": ("+2252720212345", "+22520212345"),
    "Gabon": ("+24166031234", "+24106031234"),
    "Gabon, Airtel": ("+24177123456", "+24107123456"),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_two_spellings_of_a_number_are_each_other_s(pair: tuple[str, str]):
    """In both directions."""
    today, before = pair

    assert before in other_spellings(today)
    assert today in other_spellings(before)
    assert today not in other_spellings(today)


@pytest.mark.parametrize(
    "number",
    [
        "+4915112345678",
        "+14155238886",
        "+5511933334444",  # without its 9 a landline of somebody else
        "+551133334444",
        "+525512345",
        "+541123",
        "+2250712345678",  # without its 07 it would be an old number of Moov's
        "+2290112345",
        "72345",
        "US.13491208655302741918",
        "",
    ],
)
def test_a_number_with_one_spelling_has_no_other(number: str):
    """Also one whose other spelling could be another person's."""
    assert other_spellings(number) == ()


def test_argentina_s_15_is_read_and_written():
    """People write it between area code and number; nobody else can tell how long an area code is."""
    assert "+5491123456789" in other_spellings("+54111523456789")
    assert "+54111523456789" in other_spellings("+5491123456789")
    assert {"+54261151234567", "+54261115234567"} <= set(other_spellings("+5492611234567"))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.country} {row.forms[0]}")
def test_every_row_has_a_source_and_today_s_form_first(row):
    """The first form is one that libphonenumber takes for a valid number of that country."""
    number = next(
        (
            today
            for pair in PAIRS.values()
            for today in pair[:1]
            if any(one.country == row.country and today in all_spellings(form) for one in (row,) for form in pair)
        ),
        None,
    )

    assert row.source
    assert len(row.forms) > 1
    assert number is not None, "each country of the table is one of the examples"
    assert phonenumbers.is_valid_number(phonenumbers.parse(number))


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_the_first_of_two_spellings_is_today_s(pair: tuple[str, str]):
    """As libphonenumber says, which is far too large for the webhook."""
    assert phonenumbers.is_valid_number(phonenumbers.parse(pair[0]))


@pytest.mark.parametrize(
    "text",
    [
        "+4915112345678",
        "+49-151-12345678",
        "+49-151...12345678".replace("...", "-"),
        "0049 151 12345678",
        "00491511234567 8",
        "+49 (0)151 123 456 78",
        "+49 (0) 151/12345678",
        "(+49) 151.1234.5678",
        "+49\u2011151\u201112345678",
        "\uff0b49\u00a0151\u00a012345678",
        "whatsapp:+4915112345678",
        " WhatsApp: +49 151 12345678 ",
    ],
)
def test_a_number_is_read_however_a_person_writes_it(text: str):
    """With blanks, hyphens, brackets, two noughts, a trunk nought, and with a channel's prefix."""
    assert bare(text) == "+4915112345678"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("whatsapp:US.13491208655302741918", "US.13491208655302741918"),
        ("Acme-Info", "Acme-Info"),
        ("72345", "72345"),
        ("0151 12345678", "015112345678"),
        ("", ""),
    ],
)
def test_what_is_no_international_number_stays_what_it_is(text: str, expected: str):
    """Ids, names and short codes; a national number tells no country."""
    assert bare(text) == expected


@pytest.mark.parametrize("text", ["+4915112345678", "72345", "US.13491208655302741918", "ACME"])
def test_what_the_look_up_can_ask_for_is_readable(text: str):
    """E.164, a short code, an id."""
    assert is_readable(text)


@pytest.mark.parametrize(
    "text", ["", "0151 1234", "015112345678", "+49 151", "00491511234", "whatsapp:+4915", "+", "x"]
)
def test_what_no_webhook_can_ask_for_is_not(text: str):
    """The doctor tells it."""
    assert not is_readable(text)
