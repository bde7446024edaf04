"""The fields of a secret's JSON. An error names the field and never its value."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from chalicelib.errors import Code, Misconfigured


@dataclass(frozen=True, repr=False)
class Secret:
    """A secret's fields."""

    provider: str
    document: dict[str, Any]

    @classmethod
    def parse(cls, provider: str, text: str) -> Secret:
        try:
            document = json.loads(text)
        except ValueError:
            # Not chained: the parser's error carries the secret's text.
            raise Misconfigured(Code.SECRET_FETCH_FAILED, f"a {provider} secret is no JSON") from None
        if not isinstance(document, dict):
            raise Misconfigured(Code.SECRET_FETCH_FAILED, f"a {provider} secret is no JSON object")
        return cls(provider, document)

    def required(self, name: str) -> str:
        text = self.optional(name)
        if text is None:
            raise Misconfigured(Code.SECRET_FETCH_FAILED, f"a {self.provider} secret has no {name}")
        return text

    def optional(self, name: str) -> str | None:
        """The text of a field; None where it is missing, null or empty."""
        value = self.document.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise Misconfigured(Code.SECRET_FETCH_FAILED, f"{name} of a {self.provider} secret is no text")
        return value
