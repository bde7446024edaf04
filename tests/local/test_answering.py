"""What answers in `make run`: the stub, the worker kit with a model, or a worker of the user's own."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner
from rich.console import Console

from local.__main__ import cli
from local.answering import ECHO, NOBODY, OPENAI, STUB, Ai


@dataclass
class Here:
    """A stack that starts nothing."""

    started: list[tuple[str, ...]] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    aws: Any = field(default_factory=lambda: SimpleNamespace(endpoint="http://127.0.0.1:4567"))
    settings: Any = field(
        default_factory=lambda: SimpleNamespace(
            conversations_table="conversations-local", ai_queue="the-ai", ai_replies_queue="the-ai-replies"
        )
    )

    def start(self, *arguments: str, **variables: str) -> None:
        self.started.append(arguments)
        self.variables |= variables

    def ai_stub(self, thinking_seconds: float) -> None:
        self.started.append(("stub", str(thinking_seconds)))


def test_the_stub_answers_by_default():
    """For as long as it is told to think."""
    here = Here()

    Ai.chosen(STUB, "", "", 7.0, {}).start(here)  # type: ignore[arg-type]

    assert here.started == [("stub", "7.0")]


def test_the_kit_answers_with_a_model_of_the_user_s():
    """It reads the record, keeps its replies in a file, and learns the key by its environment alone."""
    here = Here()

    Ai.chosen(OPENAI, "m", "http://127.0.0.1:1/v1", 5.0, {"OPENAI_API_KEY": "sk-1"}).start(here)  # type: ignore[arg-type]

    ((name, command, *arguments),) = here.started
    told = dict(zip(arguments[::2], arguments[1::2], strict=True))
    assert (name, command) == ("ai", "ai-worker")
    assert told.pop("--kept").endswith("replies.sqlite")
    assert told == {
        "--ai": "openai",
        "--model": "m",
        "--base-url": "http://127.0.0.1:1/v1",
        "--wait": "1",
        "--conversations-table": "conversations-local",
    }
    assert here.variables == {"OPENAI_API_KEY": "sk-1"}


def test_a_server_of_the_user_s_own_needs_no_key():
    """Its client asks for one all the same."""
    here = Here()

    Ai.chosen(OPENAI, "m", "http://127.0.0.1:1/v1", 5.0, {}).start(here)  # type: ignore[arg-type]

    assert here.variables == {"OPENAI_API_KEY": "none"}


@pytest.mark.parametrize(("model", "key"), [("m", ""), ("", "sk-1")], ids=["no server and no key", "no model"])
def test_what_a_model_lacks_is_said_at_once(model: str, key: str):
    """Before anything is started."""
    with pytest.raises(click.UsageError):
        Ai.chosen(OPENAI, model, "", 5.0, {"OPENAI_API_KEY": key} if key else {})


def test_a_server_of_the_user_s_own_names_its_model_itself():
    """The worker asks it."""
    here = Here()

    Ai.chosen(OPENAI, "", "http://127.0.0.1:1/v1", 5.0, {}).start(here)  # type: ignore[arg-type]

    assert "--model" not in here.started[0]


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch):
    """With the line that installs it."""
    monkeypatch.setattr("local.answering.find_spec", lambda _: None)

    with pytest.raises(click.UsageError, match=r"pip install 'openai"):
        Ai.chosen(OPENAI, "m", "http://127.0.0.1:1/v1", 5.0, {})


def test_without_an_ai_the_queue_is_left_to_the_user_s_worker():
    """Who is told all that it needs."""
    here, shown = Here(), io.StringIO()
    ai = Ai.chosen(NOBODY, "", "", 5.0, {})

    ai.start(here)  # type: ignore[arg-type]
    ai.show(Console(file=shown, width=200), here)  # type: ignore[arg-type]

    assert here.started == []
    names = ("AWS_ENDPOINT_URL=http://127.0.0.1:4567", "AWS_DEFAULT_REGION=", "AWS_SHARED_CREDENTIALS_FILE=/")
    assert all(
        f"export {name}" in shown.getvalue() for name in (*names, "AI_QUEUE=the-ai\n", "AI_REPLIES_QUEUE=the-ai-")
    )


def test_what_answers_is_shown():
    """The model too."""
    shown = io.StringIO()

    Ai(ECHO).show(Console(file=shown, width=200), Here())  # type: ignore[arg-type]

    assert shown.getvalue() == "The AI worker, as an echo, answers the batches.\n"


def test_the_worker_takes_what_the_run_tells_it(monkeypatch: pytest.MonkeyPatch):
    """The hidden command hands its arguments on."""
    told: list[Any] = []
    monkeypatch.setattr("local.processes.parent_watch.end_with_parent", lambda: None)
    monkeypatch.setattr("examples.ai_worker.__main__.main", told.append)

    result = CliRunner().invoke(cli, ["ai-worker", "--ai", "echo", "--kept", "x"])

    assert (result.exit_code, told) == (0, [("--ai", "echo", "--kept", "x")])
