"""No channel and no vendor is a branch outside the folder that knows them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from chalicelib.channels.channel import Vendor
from chalicelib.channels.registry import channels
from chalicelib.settings import Settings
from tests.world import ENVIRONMENT

CODE = Path(__file__).parents[3] / "chalicelib"
OUTSIDE = [path for path in sorted(CODE.rglob("*.py")) if not {CODE / "channels", CODE / "wiring"} & set(path.parents)]
NAMES = {channel.name for channel in channels(Settings.from_environment(ENVIRONMENT))} | set(Vendor)


def compared(tree: ast.AST) -> set[str]:
    """What a file compares with or matches, as far as it is a name of a channel or a vendor."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare | ast.MatchValue):
            for one in ast.walk(node):
                if isinstance(one, ast.Constant) and one.value in NAMES:
                    found.add(one.value)
                if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name) and one.value.id == "Vendor":
                    found.add(f"Vendor.{one.attr}")
    return found


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: str(path.relative_to(CODE)))
def test_a_file_compares_no_channel_and_no_vendor(path: Path):
    """A row of data or a protocol says what differs."""
    assert compared(ast.parse(path.read_text())) == set()


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("if channel == 'whatsapp': ...", "whatsapp"),
        ("x = name in ('sms', 'email')", "sms"),
        ("if vendor is Vendor.TWILIO: ...", "Vendor.TWILIO"),
        ("match vendor:\n    case Vendor.SENDGRID: ...", "Vendor.SENDGRID"),
    ],
)
def test_the_look_finds_what_it_looks_for(line: str, what: str):
    """A check that cannot fail would show nothing."""
    assert what in compared(ast.parse(line))
