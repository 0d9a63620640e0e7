"""How the demo is interrupted: a signal is noted when it comes and obeyed where the demo says so. No signal can fall
between the start of a process and the note that it has to be ended, nor into the cleaning up."""

import select
import signal

_noted = []


class Stop(Exception):
    """The demo was asked to end; `status` is the exit status that says so."""

    def __init__(self, number):
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.status = 128 + number


def listen():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # under nohup, HUP stays ignored
            signal.signal(number, lambda number, _frame: _noted.append(number))


def look():
    """Raises Stop if a signal has come."""
    if _noted:
        raise Stop(_noted[0])


def wait(seconds, readable=()):
    """Waits until one of the files can be read, at most so many seconds."""
    look()
    select.select(readable, [], [], min(seconds, 0.05))
    look()
