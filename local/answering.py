"""Which AI answers in `run`: the stub, the worker kit with a model, or your own worker."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import click
from rich.console import Console

from local.aws import credentials_file
from local.processes.children import Child
from local.processes.environment import REGION
from local.stack import Stack

STUB, ECHO, OPENAI, NOBODY = "stub", "echo", "openai", "none"
_ANSWERS = {STUB: "A stub", ECHO: "The AI worker, as an echo,", OPENAI: "The AI worker, with a model,"}


@dataclass(frozen=True)
class Ai:
    """The AI of a run."""

    kind: str = STUB
    model: str = ""
    base_url: str = ""
    """Of an OpenAI-compatible server; empty: OpenAI's own."""
    api_key: str = ""
    thinking_seconds: float = 5.0
    """How long the stub thinks."""

    @classmethod
    def chosen(cls, kind: str, model: str, base_url: str, thinking_seconds: float, shell: Mapping[str, str]) -> Ai:
        """What the command line and the shell ask for.

        Raises:
            click.UsageError: it lacks something.
        """
        if kind != OPENAI:
            return cls(kind, thinking_seconds=thinking_seconds)
        api_key = shell.get("OPENAI_API_KEY", "")
        if find_spec("openai") is None:
            raise click.UsageError("--ai openai needs a package: .venv/bin/python -m pip install 'openai>=2,<3'")
        if not base_url and not api_key:
            raise click.UsageError("--ai openai needs --base-url, or the key of your account in OPENAI_API_KEY")
        if not base_url and not model:
            raise click.UsageError("--ai openai needs --model, the model's name at OpenAI")
        return cls(kind, model, base_url, api_key or "none")

    def start(self, here: Stack) -> Child | None:
        """Start it on a running stack; the stub's process, or None where it is not the stub that answers."""
        if self.kind == STUB:
            return here.ai_stub(self.thinking_seconds)
        if self.kind != NOBODY:
            here.start("ai", "ai-worker", *self._arguments(here), OPENAI_API_KEY=self.api_key)
        return None

    def show(self, console: Console, here: Stack) -> None:
        """Print what answers; where it is nobody of ours, how a worker of the user's own finds the queues."""
        if self.kind != NOBODY:
            console.print(f"{_ANSWERS[self.kind]} answers the batches. {self.model} {self.base_url}".rstrip())
            return
        console.print("No AI answers the batches. Start your own worker with:", style="bold")
        file = credentials_file.path(int(here.aws.endpoint.rpartition(":")[2]))
        for line in (
            f"AWS_ENDPOINT_URL={here.aws.endpoint}",
            f"AWS_DEFAULT_REGION={REGION}",
            f"AWS_SHARED_CREDENTIALS_FILE={file}",
            f"AI_QUEUE={here.settings.ai_queue}",
            f"AI_REPLIES_QUEUE={here.settings.ai_replies_queue}",
        ):
            console.print(f"  export {line}", soft_wrap=True, highlight=False)

    def _arguments(self, here: Stack) -> list[str]:
        kept = Path(tempfile.mkdtemp(prefix="replies-engine-ai-")) / "replies.sqlite"
        told = {
            "--ai": self.kind,
            "--model": self.model,
            "--base-url": self.base_url,
            "--kept": str(kept),
            "--wait": "1",
            "--conversations-table": here.settings.conversations_table,
        }
        return [part for name, value in told.items() if value for part in (name, value)]
