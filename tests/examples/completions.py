"""A loopback server that is compatible with OpenAI's, as far as the worker kit asks it."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import Any


class Completions(BaseHTTPRequestHandler):
    """Lists one model, and answers by it."""

    asked: list[dict[str, Any]]
    status: int

    def do_GET(self) -> None:
        self.asked.append({"path": self.path})
        self._tell({"object": "list", "data": [{"id": "its-model", "object": "model", "created": 1, "owned_by": "us"}]})

    def do_POST(self) -> None:
        self.asked.append(
            {
                "path": self.path,
                "key": self.headers["Authorization"],
                **json.loads(self.rfile.read(int(self.headers["Content-Length"]))),
            }
        )
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Blue."}}
        self._tell({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})

    def _tell(self, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""
