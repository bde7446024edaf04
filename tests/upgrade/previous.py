"""Loads the code of an earlier commit beside today's, under another name.

    git archive COMMIT -> a folder -> import previous_chalicelib, previous_tests, previous_local

Each import of `chalicelib`, `tests` or `local` in the earlier tree is rewritten in its syntax tree. Both versions then
run in one process and share nothing but what a test gives to both.
"""

from __future__ import annotations

import ast
import importlib
import importlib.machinery
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

COMMIT = "c643bb6"
"""The last commit before a batch for people was an acquisition: its rows of the stage have a `route`."""

PREFIX = "previous_"
ROOTS = ("chalicelib", "tests", "local")
REPOSITORY = Path(__file__).parents[2]


class NoHistoryError(Exception):
    """The clone does not have the commit: it is shallow, or no clone at all."""


@dataclass(frozen=True)
class Previous:
    """The earlier code, loaded."""

    world: ModuleType
    """Its `tests.world`."""
    emails: ModuleType
    """Its `tests.emails`."""
    faults: ModuleType
    """Its `tests.fakes.faults`."""


def load(folder: Path) -> Previous:
    """Unpack the earlier commit into an empty folder, and load it.

    Raises:
        NoHistoryError: the commit is not there.
    """
    _unpack(folder)
    sys.meta_path.insert(0, _Finder(folder))
    modules = (importlib.import_module(f"{PREFIX}tests.{name}") for name in ("world", "emails", "fakes.faults"))
    return Previous(*modules)


def unload() -> None:
    """Forget the earlier code."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
    for name in [name for name in sys.modules if name.startswith(PREFIX)]:
        del sys.modules[name]


def _unpack(folder: Path) -> None:
    archive = ["git", "-C", str(REPOSITORY), "archive", COMMIT, *ROOTS, "infrastructure"]
    try:
        made = subprocess.run(archive, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as fault:
        raise NoHistoryError(COMMIT) from fault
    subprocess.run(["tar", "-x", "-C", str(folder)], input=made.stdout, check=True)


class _Finder(MetaPathFinder):
    """Finds the modules of the earlier tree by their prefixed names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(PREFIX):
            return None
        place = self._folder.joinpath(*fullname.removeprefix(PREFIX).split("."))
        for file, is_package in ((place / "__init__.py", True), (place.with_suffix(".py"), False)):
            if file.is_file():
                loader = _Loader(fullname, str(file))
                folders = [str(place)] if is_package else None
                return spec_from_file_location(fullname, file, loader=loader, submodule_search_locations=folders)
        if not place.is_dir():
            return None
        spec = ModuleSpec(fullname, None, is_package=True)
        spec.submodule_search_locations = [str(place)]
        return spec


class _Loader(SourceFileLoader):
    """Compiles a module whose imports are rewritten."""

    def source_to_code(self, data: Any, path: Any, **_: Any) -> Any:
        return compile(_Renaming().visit(ast.parse(data)), path, "exec", dont_inherit=True)

    def set_data(self, path: str, data: Any, **_: Any) -> None:
        """Cache no bytecode."""


class _Renaming(ast.NodeTransformer):
    """Gives the roots of the earlier tree their prefix, in each import."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if node.level == 0 and node.module is not None and node.module.partition(".")[0] in ROOTS:
            node.module = PREFIX + node.module
        return node

    def visit_Import(self, node: ast.Import) -> ast.AST:
        strangers = [one.name for one in node.names if one.name.partition(".")[0] in ROOTS]
        assert not strangers, f"the earlier tree imports {strangers} whole"
        return node


def crashing(world: Any, faults: ModuleType, when: Callable[[Any], bool], *, before: bool = False) -> None:
    """Let the process of an earlier world die at the next call for which `when` holds, before or after it happens."""
    fault = faults.Fault.CRASH_BEFORE if before else faults.Fault.CRASH_AFTER
    inject = world.plan.befall

    def dying(call: Any, apply: Any, planned: Any, detail: str) -> Any:
        if not when(call):
            return inject(call, apply, planned, detail)
        world.plan.befall = inject
        return inject(call, apply, fault, detail)

    world.plan.befall = dying
