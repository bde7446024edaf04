"""The app's log lines as a reader of the terminal gets them."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from rich.console import Console

from local import logs
from local.logs import LogLine

STAGED = {
    "level": "INFO",
    "location": "log:1",
    "message": "staged",
    "timestamp": "2026-11-22 04:00:00,000+0000",
    "service": "replies-engine",
    "step": "staged",
    "conversation_id": "sunrise-anna",
    "message_sid": "SM0123456789abcdef",
}


def test_a_log_line_is_its_level_its_step_and_its_fields():
    """What only the log's keeper needs is left out; the rest is kept by name."""
    line = json.dumps(STAGED)

    parsed = logs.parse(line)

    assert parsed == LogLine("INFO", "staged", {"conversation_id": "sunrise-anna", "message_sid": "SM0123456789abcdef"})


@pytest.mark.parametrize("line", ["", "   ", json.dumps({"_aws": {"CloudWatchMetrics": []}, "Staged": [1.0]})])
def test_metrics_and_empty_lines_are_not_shown(line):
    """A metric is for CloudWatch, not for a reader."""
    told = line

    parsed = logs.parse(told)

    assert parsed is None


@pytest.mark.parametrize("line", ["Traceback (most recent call last):", "{not json", '"a text"'])
def test_what_is_no_log_line_is_shown_as_it_came(line):
    """An error of Python's own is never swallowed."""
    told = line

    parsed = logs.parse(told)

    assert parsed == line


def test_a_line_on_the_screen_is_one_line_with_ids_cut_short():
    """One step is one line, whatever the width of the terminal."""
    console = Console(width=20, record=True, file=StringIO())

    logs.show(console, "app", json.dumps(STAGED))

    (shown,) = console.export_text().splitlines()
    assert "conversation_id=sunrise-anna" in shown
    assert "message_sid=SM0123456789…" in shown
