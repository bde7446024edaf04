"""HTML as text: what mail programs mark as quoted is quoted in the text too."""

from __future__ import annotations

import pytest

from chalicelib.channels.email.html import from_html
from chalicelib.channels.email.notes import Notes
from chalicelib.channels.email.quotations import new_text
from chalicelib.channels.email.relations import Relation

NEW = "Thanks, that works."
INTRODUCTION = "On Mon, Jan 5, 2026 at 10:00 AM Help Desk &lt;help@acme.example&gt; wrote:"
BLOCK = (
    "<b>From:</b> Help Desk &lt;help@acme.example&gt;<br><b>Sent:</b> Monday, January 5, 2026 10:00 AM<br>"
    "<b>To:</b> Ann<br><b>Subject:</b> Your order"
)
QUOTATIONS = {
    "gmail": f"<div class='gmail_quote'><div class='gmail_attr'>{INTRODUCTION}<br></div>"
    "<blockquote class='gmail_quote' style='margin:0 0 0 .8ex;border-left:1px #ccc solid'>old</blockquote></div>",
    "apple": f"<div>{INTRODUCTION}</div><blockquote type='cite'><div>old</div></blockquote>",
    "thunderbird": "<div class='moz-cite-prefix'>On 05/01/2026 10:00, Acme wrote:<br></div><blockquote type='cite'>"
    "<p>old</p></blockquote>",
    "yahoo": f"<div id='ydp1yahoo_quoted_1' class='ydp1yahoo_quoted'><div>{INTRODUCTION}</div><div>old</div></div>",
    "gmx": f"<div name='quote' style='margin:10px 5px'><div>{INTRODUCTION}</div><div>old</div></div>",
    "proton": f"<div class='protonmail_quote'>{INTRODUCTION}<br><blockquote>old</blockquote></div>",
    "zimbra": f"<div data-marker='__QUOTED_TEXT__'>{BLOCK}<br><br>old</div>",
    "outlook on the web": f"<div id='appendonsend'></div><hr><div id='divRplyFwdMsg'>{BLOCK}</div><div>old</div>",
    "outlook": "<div style='border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm'>"
    f"<p class=MsoNormal>{BLOCK}</p></div><p class=MsoNormal>old</p>",
    "outlook's bar": "<blockquote style='border:none;border-left:solid #CCCCCC 1.0pt;padding:0cm 0cm 0cm 6.0pt'>"
    "<p class=MsoNormal>old</p></blockquote>",
    "spark": "<div name='messageReplySection'>On 5 Jan 2026, 10:00 +0100, Help Desk, wrote:<br><div>old</div></div>",
    "gmail's element, cleaned": f"<div class='x_gmail_quote'>{INTRODUCTION}<blockquote class='x_gmail_quote'>old"
    "</blockquote></div>",
    "gmail's blockquote alone": f"<div>{INTRODUCTION}</div><br><blockquote class='gmail_quote'>old</blockquote>",
    "a rule": f"<hr>{BLOCK}<br><br>old",
    "a block without breaks": "<hr><b>From: help@acme.example</b> <b>Date: 24 Mar 2016 08:07</b><p>old</p>",
}


@pytest.mark.parametrize("quotation", QUOTATIONS.values(), ids=QUOTATIONS.keys())
def test_what_a_program_quotes_is_history(quotation: str):
    """However it marks that."""
    page = from_html(f"<html><body><div>{NEW}</div><br>{quotation}</body></html>", Notes())

    assert new_text(page.text, relation=Relation.REPLY).text == NEW


def test_quotations_bear_their_marks():
    """As deep as they are, on each of their lines, and what stands between them bears none."""
    page = from_html(
        "<p>one</p><blockquote><p>two</p>three<br>four<blockquote>five</blockquote></blockquote><p>six</p>", Notes()
    )

    assert page.text == "one\n\n> two\n\n> three\n> four\n\n>> five\n\nsix"
    assert page.has_quotes


@pytest.mark.parametrize(
    "style", ["margin:0 0 0 40px;border:none;padding:0px", "margin-left: 40px; border-left: none", "border: 0"]
)
def test_a_paragraph_that_is_merely_indented_is_no_quotation(style: str):
    """The customer wrote it."""
    page = from_html(f"<blockquote style='{style}'>words</blockquote>", Notes())

    assert (page.text, page.has_quotes) == ("words", False)


def test_what_gmail_s_button_quotes_is_the_customer_s():
    """Its element is the same as around history, but nothing introduces it and no element of Gmail's is around it."""
    html = "<div>Please confirm:</div><div>Ann</div><blockquote class='gmail_quote'>Free <b>delivery</b></blockquote>"

    page = from_html(html, Notes())

    assert (page.text, page.has_quotes) == ("Please confirm:\nAnn\nFree delivery", False)


@pytest.mark.parametrize("count", [100, 101])
def test_few_quotations_are_looked_at_that_closely(count: int):
    """A look at a line takes long; beyond them each is a quotation."""
    page = from_html("<blockquote class='gmail_quote'>words</blockquote>" * count, Notes())

    assert page.text.count("> words") == max(0, count - 100)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        (
            "".join(f"<p class=MsoNormal>{one}</p>" for one in ("one", "two", "&nbsp;", "three")),
            "one\ntwo\n\nthree",
        ),
        ("<div>one</div><div><br></div><div>two</div>", "one\n\ntwo"),
        ("one<br>two<br><br>three", "one\ntwo\n\nthree"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("<ul><li>one</li><li>two</li></ul>", "one\ntwo"),
        ("<pre>one\n  two</pre>", "one\n  two"),
        ("a\n  b&nbsp; c", "a b c"),
        (
            "<div>hi<div class=gmail_signature_prefix>-- </div><div class=gmail_signature>Ann</div></div>",
            "hi\n-- \nAnn",
        ),
    ],
)
def test_blocks_stand_on_lines_of_their_own(html: str, text: str):
    """And blanks are what a browser makes of them."""
    assert from_html(html, Notes()).text == text


def test_depth_of_quotations_takes_no_more_room_than_they_have():
    """Marks beyond a few levels are left out."""
    page = from_html("<blockquote>" * 5_000 + "x<br>" * 1_000, Notes())

    assert len(page.text) < 20_000
