"""The bench of readers of replies: what it counts, and what it writes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bench import email_replies

INTRODUCTION = "On Mon, Jan 5, 2026 at 10:00 AM Acme <help@acme.example> wrote:"


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        ("Yes, please.", ["right"]),
        ("yes please", ["right"]),
        ("Yes.", ["missing"]),
        ("", ["missing"]),
        ("Yes, please.\n\nAnn", ["signature"]),
        ("> Do you?\n\nYes, please.", ["quoting"]),
        ("Yes,\n> Do you?\nplease.", ["quoting"]),
        ("Yes, please.\n\n> Do you?", ["history"]),
        ("> Do you?\n\nYes, please. Ann", ["history"]),
        (f"Yes, please.\n{INTRODUCTION}", ["history"]),
        ("Yes, please." + " word" * 50, ["history"]),
        ("Yes.\n> Do you?", ["missing", "history"]),
    ],
)
def test_an_answer_is_judged_by_its_words(told: str, verdict: list[str]):
    """Their order and what stands between them do not count."""
    assert email_replies.judged("Yes, please.", told) == verdict


def test_results_are_written_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    """By the ids of the cases; without a gold one is read alone."""
    cases = [
        {"id": "plain", "corpus": "mine", "text": f"Yes\n\n{INTRODUCTION}\n> Do you?", "gold": "Yes"},
        {"id": "html", "kind": "html", "text": "<p>No</p><blockquote>Do you?</blockquote>", "gold": "Never"},
        {"id": "unknown", "text": "Perhaps"},
    ]
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    told = ["email_replies", str(tmp_path / "cases.json"), "--results", str(tmp_path / "out.json")]
    monkeypatch.setattr(sys, "argv", told)

    email_replies.main()

    assert json.loads((tmp_path / "out.json").read_text()) == {"plain": "Yes", "html": "No", "unknown": "Perhaps"}
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if " ours " in line]
    assert [row for row in rows if row[0] in {"ALL", "mine"}] == [
        ["ALL", "ours", "2", "1", "0", "1", "0", "1"],
        ["mine", "ours", "1", "1", "0", "0", "0", "0"],
    ]


def test_a_peer_that_cannot_be_loaded_is_left_out(monkeypatch: pytest.MonkeyPatch, capsys):
    """Each has an environment of its own to fail in."""
    monkeypatch.setattr(email_replies, "_PEERS", [("nobody", "no_such_module", lambda module: module.read)])

    assert email_replies.peers() == {}
    assert capsys.readouterr().out == "nobody is left out: ModuleNotFoundError\n"
