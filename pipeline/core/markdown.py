"""Tables in Markdown that can be read as plain text."""


def text_table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a Markdown table, padded so that columns line up; the first is aligned left, the others right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells: list[str]) -> str:
        first, *rest = zip(cells, widths, strict=True)
        return "| " + " | ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]) + " |"

    rule = [f"|{'-' * (widths[0] + 2)}|" + "".join(f"{'-' * (width + 1)}:|" for width in widths[1:])]
    return [line(head), *rule, *(line(row) for row in rows)]
