"""docs/company-systems.md names each promise's test, and every test stands on the page."""

from __future__ import annotations

import ast
import re
from pathlib import Path

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[1] / "docs" / "company-systems.md"
FILES = ("test_messages.py", "test_attributes.py")


def test_each_promise_names_its_test_and_each_test_is_a_promise():
    named = re.findall(r"`(test_\w+)`", PAGE.read_text())

    tests = [
        node.name
        for file in FILES
        for node in ast.walk(ast.parse((FOLDER / file).read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    assert sorted(named) == sorted(tests)
