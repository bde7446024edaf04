"""A secrets store in memory."""

from __future__ import annotations

import copy

from chalicelib.clock import Deadline
from chalicelib.errors import Code, Misconfigured
from tests.fakes.faults import Call, FaultPlan


class InMemorySecrets:
    """Secrets by reference; `texts` may be changed at any time, as somebody rotating a token does."""

    def __init__(self, texts: dict[str, str] | None = None, plan: FaultPlan | None = None) -> None:
        self.texts = dict(texts or {})
        self.plan = plan or FaultPlan()
        self._deadline: Deadline | None = None

    def within(self, deadline: Deadline) -> InMemorySecrets:
        bounded = copy.copy(self)
        bounded._deadline = deadline
        return bounded

    def fetch(self, ref: str) -> str:
        transient, permanent = Code.SECRET_FETCH_TRANSIENT_ERROR, Code.SECRET_FETCH_FAILED
        if self._deadline is not None:
            self._deadline.check(f"GetSecretValue {ref}", transient)
        return self.plan.perform(Call("GetSecretValue", ref, "read", transient, permanent), lambda _: self._text(ref))

    def _text(self, ref: str) -> str:
        if ref not in self.texts:
            raise Misconfigured(Code.SECRET_FETCH_FAILED, f"GetSecretValue {ref}: ResourceNotFoundException")
        return self.texts[ref]
