"""Tables for people, no wider than the terminal."""

from collections.abc import Iterable, Sequence

from caejax.terminal.lines import printable

_BOUNDLESS = 1 << 16  # columns


def print_table(
    header: Sequence[str],
    lines: Iterable[Sequence[str]],
    *,
    above: str = "",
    below: str = "",
) -> None:
    """Prints a table.

    Where the terminal has no room for all its columns, the last ones are left out, and
    a line names them. Units in brackets stand below the names of columns.

    Args:
      header: the names of the columns, the most important first.
      lines: the cells of each line.
      above: a line above it.
      below: a line below it.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console, lines = Console(highlight=False, markup=False), list(lines)

    boundless = console.options.update(max_width=_BOUNDLESS)

    def table(count):
        found = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        for name in header[:count]:
            found.add_column(Text(name.replace(" (", "\n(")), no_wrap=True)
        for line in lines:
            found.add_row(*(Text(printable(cell)) for cell in line[:count]))
        return found

    def fits(count):
        return console.measure(table(count), options=boundless).maximum <= console.width

    count = next(filter(fits, range(len(header), 1, -1)), 1)
    left = ", ".join(header[count:])
    more = Text(f"left out here: {printable(left)}" if left else "")
    for text in (above, table(count), more, below):
        if text:
            console.print(text, soft_wrap=isinstance(text, str))
