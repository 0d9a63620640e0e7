"""The drawing: bars over a time axis, refreshed in place on a terminal, once and in plain ASCII anywhere else."""

import os
import shutil

import replica

WORDS = {replica.CONNECTING: "connecting", replica.WAITING: "waiting", replica.MIGRATING: "migrating",
         replica.APP: "running the app"}
ASCII = {replica.CONNECTING: ":", replica.WAITING: ".", replica.MIGRATING: "#", replica.APP: "="}
BLOCKS = {replica.CONNECTING: "\u2592", replica.WAITING: "\u2591", replica.MIGRATING: "\u2588", replica.APP: "\u2501"}
COLOURS = {replica.CONNECTING: "36", replica.WAITING: "33", replica.MIGRATING: "35", replica.APP: "32"}
NAME, NOTE, NARROWEST, WIDEST = 10, 21, 16, 80


class Screen:
    def __init__(self, stream):
        self.stream = stream
        self.live = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in (None, "dumb")
        locale = next(filter(None, map(os.environ.get, ("LC_ALL", "LC_CTYPE", "LANG"))), "").lower()
        self.glyphs = BLOCKS if self.live and "utf" in locale else ASCII
        self.drawn = 0  # lines of the drawing that the next one replaces

    def say(self, *lines):
        self._write("".join(f"{line}\n" for line in lines))

    def heading(self, text):
        self.say(f"\033[1m{text}\033[0m" if self.live else text, "")

    def draw(self, lines, final=False):
        """Draws over the previous drawing; the final one stays."""
        fits = self.live and len(lines) < shutil.get_terminal_size().lines
        if fits or final:
            # Without a cursor, and without wrapping: a long line would be two, and the next drawing be misplaced.
            back = f"\033[?25l\033[?7l\r\033[{self.drawn}A\033[J" if self.drawn else "\033[?25l\033[?7l"
            self._write((back if self.live else "") + "".join(f"{line}\n" for line in lines))
            self.drawn = len(lines)
        if final:
            self.drawn = 0
            self.restore()

    def restore(self):
        if self.live:
            self._write("\033[0m\033[?7h\033[?25h")

    def chart(self, rows, span, unit):
        """Rows of (name, [(state, from, to)], note) over an axis from 0 to span."""
        width = min(shutil.get_terminal_size().columns if self.live else 80, WIDEST) - 1
        columns = max(width - NAME - NOTE - 2, NARROWEST)
        lines = [f"{name:{NAME}} {self._bar(parts, span, columns)} {note[:NOTE]}" for name, parts, note in rows]
        return lines + [f"{'':{NAME}} {line}" for line in _axis(span, columns, unit)]

    def legend(self):
        samples = (f"{self._paint(state, self.glyphs[state] * 2)} {word}" for state, word in WORDS.items())
        return ["", f"{'':{NAME}} {'  '.join(samples)}"]

    def _bar(self, parts, span, columns):
        bar, filled = "", 0
        for state, _, to in parts:
            end = min(max(round(to / span * columns), filled + 1), columns)  # what is short is seen, too
            bar += self._paint(state, self.glyphs[state] * (end - filled))
            filled = end
        return bar + " " * (columns - filled)

    def _paint(self, state, text):
        return f"\033[{COLOURS[state]}m{text}\033[0m" if self.live else text

    def _write(self, text):
        self.stream.write(text)
        self.stream.flush()


def _axis(span, columns, unit):
    step = next(s for power in range(-3, 9) for s in (10**power, 2 * 10**power, 5 * 10**power)
                if s / span * columns >= 8)
    line, numbers = ["-"] * columns, ""
    for tick in range(int(span / step) + 1):
        column = round(tick * step / span * columns)
        if column < columns:
            line[column] = "+"
            numbers = f"{numbers:{column}}{tick * step:g}"
    return "".join(line), f"{numbers} {unit}"
