"""Whether a machine wrote an e-mail, and whether its domain vouches for it."""

from __future__ import annotations

import time

import pytest

from chalicelib.channels.email.authentication import Verdict, judge
from chalicelib.channels.email.automatic import is_automatic
from chalicelib.channels.email.headers import Headers
from chalicelib.channels.email.notes import Notes

ANN = "ann@customer.example"


def judged(*lines: str, return_path: str | None = ANN, sender: str = ANN) -> bool:
    return is_automatic(Headers.parse("\r\n".join(lines).encode(), Notes()), return_path, sender)


class TestAutomatic:
    @pytest.mark.parametrize(
        "line",
        [
            "Auto-Submitted: auto-replied",
            "Auto-Submitted: AUTO-GENERATED (holiday)",
            "Auto-Submitted: auto-notified; owner-email=a@b",
            "Precedence: auto_reply",
            "X-Autoreply: yes",
            "X-Autorespond: any",
            "Return-Path: < >",
            "X-Failed-Recipients: ann@customer.example",
            'Content-Type: multipart/report; report-type=delivery-status; boundary="b"',
            "Content-Type: Multipart/Report; Report-Type=disposition-notification",
        ],
    )
    def test_a_sign_of_a_machine_is_enough(self, line: str):
        """Automatic replies, bounces and receipts: their writer says so of itself."""
        assert judged("Subject: x", line)

    @pytest.mark.parametrize(
        "line",
        [
            "Auto-Submitted: no",
            "Auto-Submitted: NO (by a person)",
            "Auto-Submitted:",
            "Precedence: first-class",
            "Precedence: bulk",
            "Precedence: List",
            "Precedence: junk",
            "List-Id: <announce.acme.example>",
            "List-Post: <mailto:list@acme.example>",
            "X-Auto-Response-Suppress: All",
            "X-Auto-Response-Suppress: DR, AutoReply",
            "List-Unsubscribe: <https://crm.example/u>",
            "X-Auto-Response-Suppress: DR, RN, NRN, OOF",
            "X-Auto-Response-Suppress: None",
            "Subject: Out of office",
            "Return-Path: <ann@customer.example>",
            "Content-Type: multipart/mixed; boundary=report-type",
            "X-Autoreplying: yes",
        ],
    )
    def test_what_people_s_programs_set_is_no_sign(self, line: str):
        """A person's message that is taken for a machine's is lost."""
        assert not judged("Subject: x", line)

    @pytest.mark.parametrize(("return_path", "is_of_machine"), [("", True), (None, False), (ANN, False)])
    def test_an_empty_return_path_is_a_bounce_s(self, return_path: str | None, is_of_machine: bool):
        """One that was not told is not empty."""
        assert judged("Subject: x", return_path=return_path) is is_of_machine

    @pytest.mark.parametrize(
        ("sender", "is_of_machine"),
        [
            ("mailer-daemon@customer.example", True),
            ("postmaster@customer.example", False),
            ("noreply@customer.example", False),
        ],
    )
    def test_a_mail_server_writes_no_messages(self, sender: str, is_of_machine: bool):
        """People do, from addresses that look like one."""
        assert judged("Subject: x", sender=sender) is is_of_machine


class TestAuthentication:
    @pytest.mark.parametrize(
        ("spf", "dkim", "return_path", "verdict"),
        [
            ("pass", "none", ANN, Verdict.PASS),
            ("Pass", "none", "bounces@mail.customer.example", Verdict.PASS),
            ("none", "{@customer.example : pass}", "x@other.example", Verdict.PASS),
            ("fail", "{@other.example : pass, @customer.example : pass}", "x@other.example", Verdict.PASS),
            ("fail", "{@mail.customer.example : pass}", "", Verdict.PASS),
            ("fail", "{@CUSTOMER.example. : pass}", "", Verdict.PASS),
            ("pass", "none", "x@other.example", Verdict.FAIL),
            ("pass", "none", "", Verdict.FAIL),
            ("none", "{@other.example : pass}", ANN, Verdict.FAIL),
            ("softfail", "{@customer.example : fail}", ANN, Verdict.FAIL),
            ("none", "none", ANN, Verdict.FAIL),
            ("neutral", "", ANN, Verdict.FAIL),
            ("", "", ANN, Verdict.FAIL),
            ("pass", "none", "x@example", Verdict.FAIL),
            ("none", "{@example : pass}", ANN, Verdict.FAIL),
            ("none", "{@evilcustomer.example : pass}", ANN, Verdict.FAIL),
            ("none", "{@customer.example.evil.example : pass}", ANN, Verdict.FAIL),
            ("none", "{@customer.example : passed}", ANN, Verdict.FAIL),
            (None, None, ANN, Verdict.NONE),
            (None, "{@customer.example : pass}", ANN, Verdict.PASS),
            ("pass", None, ANN, Verdict.PASS),
        ],
    )
    def test_a_domain_vouches_by_a_result_that_is_aligned_with_it(self, spf, dkim, return_path, verdict):
        """DKIM's signature, or SPF with the envelope's sender, of the domain itself, above or below it."""
        assert judge(spf=spf, dkim=dkim, sender=ANN, return_path=return_path) is verdict

    def test_nobody_vouches_for_an_unclear_sender(self):
        """Whatever passed."""
        assert judge(spf="pass", dkim="{@customer.example : pass}", sender=None, return_path=ANN) is Verdict.FAIL

    @pytest.mark.parametrize(
        "dkim", ["@" * 100_000, "{@a : " * 20_000, "@a" + " " * 100_000 + ": pass", "@a.b:" * 50_000]
    )
    def test_a_bent_result_vouches_for_nobody(self, dkim: str):
        """And takes no time."""
        assert judge(spf="x" * 100_000, dkim=dkim, sender=ANN, return_path="") is Verdict.FAIL

    @pytest.mark.parametrize("domain", ["a", "a." * 100 + "example"])
    def test_a_huge_result_takes_no_time(self, domain: str):
        """However many labels the sender's domain has; what comes late in it is not looked at."""
        sender = "ann@" + "a." * 100 + "customer.example"
        dkim = f"@{domain}:pass," * (4_500_000 // len(domain)) + "@customer.example : pass"
        began = time.process_time()

        verdict = judge(spf=None, dkim=dkim, sender=sender, return_path="")

        assert verdict is Verdict.FAIL
        assert time.process_time() - began < 60, "it took minutes"
