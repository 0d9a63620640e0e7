"""The table of README: rows of text; a ratio with a target says whether it is met."""


def verdict(value, limit, unit):
    words = f"≤ {limit:g}{unit}"
    return words if value <= limit else f"{words}, missed by {100 * (value / limit - 1):.1f} %"


class Table:
    HEAD = ("measurement", "lockstep", "against", "ratio", "target")

    def __init__(self):
        self.rows = []

    def add(self, what, ours, against="", ratio="", target=""):
        self.rows.append((what, ours, against, ratio, target))

    def compare(self, what, compared, against, limit=None):
        self.add(what, f"{compared.ours:.2f} ms", f"{against}: {compared.theirs:.2f} ms", f"{compared.ratio:.2f}×",
                 verdict(compared.ratio, limit, "×") if limit else "")

    def text(self):
        widths = [max(len(row[i]) for row in [self.HEAD, *self.rows]) for i in range(len(self.HEAD))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [self.HEAD, *self.rows]]
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join(lines)

    def markdown(self):
        lines = ["| " + " | ".join(row) + " |" for row in [self.HEAD, *self.rows]]
        lines.insert(1, "| --- | ---: | --- | ---: | --- |")
        return "\n".join(lines)
