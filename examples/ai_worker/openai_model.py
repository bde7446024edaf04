"""Any OpenAI-compatible model: OpenAI's own, or a server such as vLLM, llama.cpp and Ollama at a base URL."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

from openai import OpenAI

from chalicelib.ai_worker.answering import Question
from chalicelib.ai_worker.prompts import Load, Turn, images_of


def openai_model(client: OpenAI, name: str, load: Load | None = None) -> Callable[[Question], str]:
    """A model that answers by chat completions; without a name the first that the server lists."""

    def answer(question: Question) -> str:
        messages: list[Any] = [{"role": "system", "content": question.instructions}]
        messages += [{"role": turn.role, "content": _content(turn, load)} for turn in question.turns]
        told = client.chat.completions.create(model=name or client.models.list().data[0].id, messages=messages)
        return told.choices[0].message.content or ""

    return answer


def _content(turn: Turn, load: Load | None) -> str | list[dict[str, Any]]:
    urls = [f"data:{kind};base64,{b64encode(data).decode()}" for kind, data in images_of(turn, load)]
    shown = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [{"type": "text", "text": turn.text}, *shown] if shown else turn.text
