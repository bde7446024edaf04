"""The page's data by topic, and which topics changed: the state behind the server-sent events.

A topic holds its latest value only. A slow page skips values that were overwritten meanwhile, and a page that
reconnects gets all topics. So nothing queues up and nothing is missed.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field


@dataclass
class Feed:
    """The latest value of each topic, as JSON, with the version at which it changed last."""

    _topics: dict[str, tuple[int, str]] = field(default_factory=dict)
    _version: int = 0
    _changing: threading.Lock = field(default_factory=threading.Lock)

    def publish(self, topic: str, value: object) -> None:
        """Set a topic's value; the same value again changes nothing."""
        told = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        with self._changing:
            if self._topics.get(topic, (0, ""))[1] != told:
                self._version += 1
                self._topics[topic] = (self._version, told)

    def changes(self, since: int) -> tuple[int, list[tuple[str, str]]]:
        """The version now, and each topic that changed after `since`, the oldest change first; 0: every topic."""
        with self._changing:
            if since == self._version:
                return since, []
            changed = sorted((at, topic, told) for topic, (at, told) in self._topics.items() if at > since)
            return self._version, [(topic, told) for _, topic, told in changed]
