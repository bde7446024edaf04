"""The replies that were given, in a file: they outlast the process, and all workers of a machine share them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

_TABLE = "create table if not exists replies (batch_id text primary key, reply text, at text default current_timestamp)"


@dataclass(frozen=True)
class RepliesInFile:
    """See `chalicelib.ai_worker.answering.Replies`. A queue keeps a message for 14 days, and so does this."""

    path: Path

    def get(self, batch_id: str) -> str | None:
        row = self._run("select reply from replies where batch_id = ?", batch_id)
        return None if row is None else str(row[0])

    def keep(self, batch_id: str, reply: str) -> str:
        self._run("delete from replies where at < datetime('now', '-14 days')")
        self._run("insert or ignore into replies (batch_id, reply) values (?, ?)", batch_id, reply)
        kept = self.get(batch_id)
        return reply if kept is None else kept

    def _run(self, statement: str, *values: str) -> tuple[object, ...] | None:
        with closing(sqlite3.connect(self.path, timeout=30)) as file, file:
            file.execute(_TABLE)
            row: tuple[object, ...] | None = file.execute(statement, values).fetchone()
            return row
