"""What the reader of e-mails takes for new, over cases whose answer is known, beside other readers of replies.

    python -m bench.email_replies CASES.json [CASES.json ...] --results OUT.json

A case is {"id", "text", "kind"}: `kind` is `html` where the text is HTML, and anything else or nothing where it is
plain. Cases with a `gold`, the text that is new in them, are counted, by their `corpus`. OUT.json maps each id to what
is new by our reader. Peers - quotequail, mail-parser-reply, email-reply-parser, talon - are measured where they are
installed; they get HTML as the text that our reader makes of it, with its quotations marked.

right: the same words. quoting: the same words, and beside them only lines that are marked as quoted, above an answer to
them. missing: a word of the gold is not there. history: of the words too many, some are an introduction's, a header
block's or quoted. signature: words too many of any other sort. A case can be both missing and one of the latter.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.tables import show
from chalicelib.channels.email.html import from_html
from chalicelib.channels.email.notes import Notes
from chalicelib.channels.email.quotations import new_text
from chalicelib.channels.email.texts import tidied

Case = Mapping[str, str]
Reader = Callable[[str], str]
COUNTED = ("right", "quoting", "missing", "history", "signature")

_WORD = re.compile(r"\w+")
_HISTORY = re.compile(
    r"^\s*(?:>|\||-{2,}|_{5,}|\*?\w{1,12}(?: \w{1,12})?\*?\s?:)"
    r"|@|wrote|schrieb|écrit|scri\w+|escrib\w+|escreveu|skrev|schreef",
    re.IGNORECASE | re.MULTILINE,
)
_WORDS_OF_HISTORY = 40
"""So many words too many are no signature."""


def main() -> None:
    """Read every case, write what is new in it, and show the counts of those whose answer is known."""
    arguments = argparse.ArgumentParser(prog="python -m bench.email_replies")
    arguments.add_argument("cases", nargs="+", type=Path)
    arguments.add_argument("--results", type=Path, required=True)
    chosen = arguments.parse_args()
    cases = [case for path in chosen.cases for case in json.loads(path.read_text(encoding="utf-8"))]
    results = {case["id"]: ours(text_of(case)) for case in cases}
    chosen.results.write_text(json.dumps(results, ensure_ascii=False, indent=1), encoding="utf-8")
    known = [case for case in cases if "gold" in case]
    if known:
        readers = {"ours": ours, **peers()}
        show("What is new in replies, by each reader", ["set", "reader", "cases", *COUNTED], counted(known, readers))


def text_of(case: Case) -> str:
    """A case as plain text."""
    return from_html(case["text"], Notes()).text if case.get("kind") == "html" else tidied(case["text"])


def ours(text: str) -> str:
    """What is new by the reader that is shipped; it knows no headers here, and nothing that was said before."""
    return new_text(text).text


def peers() -> dict[str, Reader]:
    """The readers of others that are installed, by their names."""
    found: dict[str, Reader] = {}
    for name, module, make in _PEERS:
        try:
            found[name] = make(import_module(module))
        except (ImportError, AttributeError, OSError, RuntimeError, ValueError) as fault:
            print(f"{name} is left out: {type(fault).__name__}")
    return found


def counted(cases: Sequence[Case], readers: Mapping[str, Reader]) -> list[list[str]]:
    """The rows of the table: each set of cases by each reader."""
    tallies: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for case in cases:
        text = text_of(case)
        for reader, read in readers.items():
            verdict = judged(case["gold"], read(text))
            for corpus in (case.get("corpus", "all"), "ALL"):
                tallies[corpus, reader].update(["n", *verdict])
    return [
        [corpus, reader, str(tally["n"]), *(str(tally[one]) for one in COUNTED)]
        for (corpus, reader), tally in sorted(tallies.items())
    ]


def judged(gold: str, told: str) -> list[str]:
    """What is to be counted of one answer."""
    wanted, found = (Counter(_WORD.findall(text.lower())) for text in (gold, told))
    missing, extra = wanted - found, found - wanted
    if not missing and not extra:
        return ["right"]
    verdict = ["missing"] if missing else []
    if extra:
        lines = {line.strip() for line in gold.splitlines()}
        answer = [line for line in told.splitlines() if not line.startswith(">") or line.strip() in lines]
        if not missing and Counter(_WORD.findall("\n".join(answer).lower())) == wanted and not _is_quoted(told):
            return ["quoting"]
        left = "\n".join(line for line in told.splitlines() if line.strip() not in lines)
        is_history = _HISTORY.search(left) or sum(extra.values()) > _WORDS_OF_HISTORY
        verdict.append("history" if is_history else "signature")
    return verdict


def _is_quoted(told: str) -> bool:
    """Whether a text ends with what it quotes: then nothing answers it."""
    return told.rstrip().rpartition("\n")[2].startswith(">")


def _quotequail(module: Any) -> Reader:
    def read(text: str) -> str:
        told = module.unwrap(text)
        return text if told is None else "\n".join(filter(None, (told.get("text_top"), told.get("text_bottom"))))

    return read


def _mail_parser_reply(module: Any) -> Reader:
    languages = ["en", "de", "fr", "it", "es", "nl", "pl", "sv", "da", "cs"]
    reader = module.EmailReplyParser(languages=languages)
    return lambda text: str(reader.parse_reply(text=text) or "")


_PEERS: Sequence[tuple[str, str, Callable[[Any], Reader]]] = (
    ("quotequail", "quotequail", _quotequail),
    ("mail-parser-reply", "mailparser_reply", _mail_parser_reply),
    ("email-reply-parser", "email_reply_parser", lambda module: module.EmailReplyParser.parse_reply),
    ("talon", "talon.quotations", lambda module: lambda text: str(module.extract_from_plain(text))),
)


if __name__ == "__main__":
    main()
