"""Markdown tables, a line at a time, so that long runs show what they have."""


def header(*names: str) -> None:
    """The head of a table."""
    row(*names)
    row(*["---"] * len(names))


def row(*cells: object) -> None:
    """A line of a table."""
    print(f"| {' | '.join(str(cell) for cell in cells)} |", flush=True)


def percent(share: float) -> str:
    """0.0123 -> 1.23 %."""
    return f"{100 * share:.2f} %"
