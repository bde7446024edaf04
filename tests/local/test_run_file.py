"""A run writes where it listens and what its children print, for the commands of another terminal."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from local import run_file
from local.run_file import RunFile

RUN = RunFile(os.getpid(), 14566, 18000, 18010, 18011)


def test_a_run_is_found_while_it_runs_and_not_after(tmp_path: Path):
    """Neither its file nor its log is left."""
    with run_file.written(RUN, tmp_path):
        found = run_file.at_port(14566, tmp_path)
        modes = {one.stat().st_mode & 0o777 for one in tmp_path.iterdir()}

    assert (found, modes) == (RUN, {0o600})
    assert found.url == "http://127.0.0.1:18000"
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_was_killed_is_not_found(tmp_path: Path):
    """Its file is left, and its process is gone."""
    run_file.path(1, tmp_path).write_text(json.dumps({**vars(RUN), "pid": 2**22 + 1}))
    run_file.path(2, tmp_path).write_text("half a fi")

    assert run_file.running(tmp_path) == []


def test_the_run_that_started_last_is_the_newest(tmp_path: Path):
    """Where two run, a command without a port means that one."""
    other = replace(RUN, aws_port=2)
    with run_file.written(RUN, tmp_path), run_file.written(other, tmp_path):
        os.utime(run_file.path(RUN.aws_port, tmp_path), (1, 1))

        assert run_file.newest(tmp_path) == other


def test_a_rehearsal_is_found_by_its_port_alone(tmp_path: Path):
    """A command for the stage `local` never means it."""
    rehearsal = replace(RUN, aws_port=4576, stage="dev")
    with run_file.written(RUN, tmp_path), run_file.written(rehearsal, tmp_path):
        os.utime(run_file.path(RUN.aws_port, tmp_path), (1, 1))

        assert run_file.newest(tmp_path) == RUN
        assert run_file.at_port(4576, tmp_path) == rehearsal


def test_the_lines_of_the_app_and_its_workers_are_kept(tmp_path: Path):
    """The stubs print what customers wrote: theirs are not."""
    before = datetime.now(UTC)
    with run_file.written(RUN, tmp_path) as log:
        log.add("app", '{"step": "received"}')
        log.add("twilio", '{"shows": "private"}')
        log.add("work", "a traceback")
        kept = list(run_file.lines(RUN.aws_port, tmp_path))

    assert [(one.child, one.text) for one in kept] == [("app", '{"step": "received"}'), ("work", "a traceback")]
    assert all(one.at >= before for one in kept)


def test_a_long_log_is_moved_aside_and_still_read(tmp_path: Path, monkeypatch):
    """Once; what was before that is lost."""
    monkeypatch.setattr(run_file, "_LOG_BYTES_MAX", 100)
    with run_file.written(RUN, tmp_path) as log:
        for number in range(4):
            log.add("app", f"line {number} " + "x" * 100)
        kept = [one.text.split(" x")[0] for one in run_file.lines(RUN.aws_port, tmp_path)]

    assert kept == ["line 3"]
