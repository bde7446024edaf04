"""A model of Amazon Bedrock, called by the Converse API, whose requests are the same for every model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chalicelib.ai_worker.answering import Question
from chalicelib.ai_worker.prompts import Load, Turn, images_of
from chalicelib.aws.calls import Service


@dataclass(frozen=True)
class Bedrock:
    """Answers by one model; its role needs `bedrock:InvokeModel` on it."""

    service: Service
    model_id: str
    """Of a model or an inference profile."""
    load: Load | None = None
    """Reads pictures; None: the model learns their names only."""
    tokens_max: int = 1_024

    def __call__(self, question: Question) -> str:
        """The model's answer.

        Raises:
            TryAgain: Bedrock throttles, is down, or did not answer.
            Misconfigured: no right, no such model.
        """
        request = {
            "modelId": self.model_id,
            "system": [{"text": question.instructions}],
            "messages": [{"role": turn.role, "content": self._content(turn)} for turn in question.turns],
            "inferenceConfig": {"maxTokens": self.tokens_max},
        }
        answer = self.service.call("Converse", self.model_id, request, deadline=None)
        return "".join(one.get("text", "") for one in answer["output"]["message"]["content"])

    def _content(self, turn: Turn) -> list[dict[str, Any]]:
        images = images_of(turn, self.load)
        shown = [{"image": {"format": kind.partition("/")[2], "source": {"bytes": data}}} for kind, data in images]
        return [{"text": turn.text}, *shown]
