"""A table for the terminal: by rich where it is installed, else in aligned columns."""

from __future__ import annotations

from collections.abc import Sequence
from shutil import get_terminal_size

WIDTH = 120


def show(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose first column is text and whose others are figures."""
    try:
        from rich import box  # noqa: PLC0415 - rich is what `make run` installs, and no bench needs it
        from rich.console import Console  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
    except ImportError:
        _show_plain(title, heads, rows)
        return
    print(title)
    table = Table(box=box.SIMPLE_HEAD)
    for number, head in enumerate(heads):
        table.add_column(head, justify="left" if number == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    # A terminal that is too narrow wraps the lines itself; rich would cut the figures.
    Console(width=max(get_terminal_size().columns, WIDTH)).print(table)


def _show_plain(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    print(f"{title}\n")
    for row in (heads, *rows):
        cells = [row[0].ljust(widths[0]), *(one.rjust(width) for one, width in zip(row[1:], widths[1:], strict=True))]
        print("  " + "   ".join(cells))
    print()


def ratio(value: float, base: float) -> str:
    """`value` as a multiple of `base`."""
    return f"{value / base:.2f} x" if base else "-"
