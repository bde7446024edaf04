"""Answers as one JSON document, for programs that read a command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Console


def show_document(console: Console, document: Mapping[str, Any]) -> None:
    """Print a document; instants are ISO 8601."""
    console.print(json.dumps(document, indent=2, default=_plain, ensure_ascii=False), markup=False, highlight=False)


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else str(value)
