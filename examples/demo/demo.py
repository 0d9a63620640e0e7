#!/usr/bin/python3
"""Five replicas of a small app start at once, through lockstep, on a PostgreSQL of their own: what happens is drawn on
the terminal, from the events of lockstep's JSON log. Start it by `make demo`. It leaves nothing behind."""

import sys

sys.dont_write_bytecode = True  # neither in the checkout

import stop  # noqa: E402

stop.listen()

import os  # noqa: E402
import statistics  # noqa: E402
import time  # noqa: E402

import server  # noqa: E402
import timeline  # noqa: E402
from replica import APP, CONNECTING, MIGRATING, WAITING, Replica, ReplicaError, end  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
LOCKSTEP = os.path.abspath(os.environ.get("LOCKSTEP_BIN") or os.path.join(HERE, "../../build/lockstep"))
REPLICAS = 5
MIGRATE = 'psql "$DATABASE_URL" -Xqf migrations/001.sql'
ARGUMENTS = ["--target", "v1", "--migrate", MIGRATE, "--", "./app.sh"]
QUERY = """\
SELECT token, target, state, exit_status, last_line,
       round(extract(epoch FROM finished_at - started_at), 1) AS seconds
FROM lockstep.run"""
TOGETHER = 0.8  # seconds that the first timeline shows all apps running
LIMIT = 30      # seconds after which the demo gives up


class DemoError(Exception):
    pass


def environment(database):
    """Ours without what would configure lockstep or psql, and with what a container would get."""
    strange = ("LOCKSTEP_", "PG", "DATABASE_URL", "REDIS_URL")
    own = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
    return {**own, "PATH": f"{database.binaries}:{own.get('PATH', '/usr/bin:/bin')}", "LC_ALL": "C",
            "DATABASE_URL": database.url, "LOCKSTEP_LOG_FORMAT": "json", "LOCKSTEP_LOG_LEVEL": "debug"}


def start(replicas, database):
    for number in range(1, REPLICAS + 1):
        replicas.append(Replica(number, [LOCKSTEP, *ARGUMENTS], environment(database), HERE))


def follow(replicas, done, draw=lambda: None):
    """Reads what the replicas say until done() is true."""
    deadline = time.monotonic() + LIMIT
    while not done():
        if time.monotonic() > deadline:
            raise DemoError(f"the replicas did not all start their app within {LIMIT} s")
        stop.wait(0.04, [replica.output for replica in replicas])
        for replica in replicas:
            replica.read()
        draw()


def all_serve(replicas):
    return all(replica.app_says.startswith("serving") for replica in replicas)


def parts(replica, zero, now):
    """The stretches of a replica's row, in seconds since zero."""
    ends = [when for when, _ in replica.changes[1:]] + [now]
    return [(state, begin - zero, to - zero) for (begin, state), to in zip(replica.changes, ends)]


def note_now(replica):
    return {APP: replica.app_says or "app starts", MIGRATING: replica.migration_says or "migrates",
            WAITING: "waits"}.get(replica.state, "connects")


def note_afterwards(replica):
    began = replica.at(MIGRATING) or replica.at(WAITING)
    if not began:
        return "nothing to do"
    return f"{'migrated' if replica.at(MIGRATING) else 'waited'} {replica.at(APP) - began:.1f} s"


def first_start(screen, database, replicas):
    """All five at once on an empty database. Returns how many migrated and how many waited."""
    start(replicas, database)
    zero = replicas[0].began

    def chart(now, note):
        rows = [(replica.name, parts(replica, zero, now), note(replica)) for replica in replicas]
        return screen.chart(rows, max(now - zero, 3.2), "s") + screen.legend()

    def together():
        return all_serve(replicas) and time.time() > max(replica.at(APP) for replica in replicas) + TOGETHER

    follow(replicas, together, lambda: screen.draw(chart(time.time(), note_now)))
    screen.draw(chart(time.time(), note_afterwards), final=True)
    migrated = sum(replica.at(MIGRATING) is not None for replica in replicas)
    return migrated, sum(replica.at(WAITING) is not None and not replica.at(MIGRATING) for replica in replicas)


def restart(screen, database, replicas):
    """All five again, now that the version is there. Returns the milliseconds of each from its start to its exec."""
    start(replicas, database)
    follow(replicas, lambda: all_serve(replicas))
    if any(replica.at(MIGRATING) for replica in replicas):
        raise DemoError("a replica migrated again at the restart")
    took = [(replica.at(APP) - replica.began) * 1000 for replica in replicas]
    span = max(took) * 1.25
    rows = [(replica.name, [(CONNECTING, 0, ms), (APP, ms, span)], f"{ms:.0f} ms, no migration")
            for replica, ms in zip(replicas, took)]
    screen.draw(screen.chart(rows, span, "ms"), final=True)
    return took


def closing(screen, database, migrated, waited, took):
    runs = int(database.query("SELECT count(*) FROM lockstep.run", "-qtA"))
    record = database.query(QUERY, "-q", "-P", "footer=off").strip("\n").split("\n")
    if (migrated, runs) != (1, 1):
        raise DemoError(f"{migrated} of {REPLICAS} replicas migrated, and the database recorded {runs} runs")
    screen.say("")
    screen.heading("What you have just seen")
    screen.say(f"{migrated} of {REPLICAS} replicas migrated, {waited} waited; then each started its app.",
               f"Restarted, none migrated; from start to exec of the app: median {statistics.median(took):.0f} ms.",
               f"The database recorded {runs} run:", "", QUERY, "", *(line.rstrip() for line in record), "")
    screen.heading("In your Dockerfile")
    screen.say("    COPY lockstep /usr/local/bin/", '    ENTRYPOINT ["lockstep"]', "",
               'CMD stays what it is. The container gets DATABASE_URL, and from you', "",
               "    LOCKSTEP_TARGET=v1", f"    LOCKSTEP_MIGRATE={MIGRATE}")


def show(screen):
    if not os.access(LOCKSTEP, os.X_OK):
        raise DemoError("build/lockstep is not there; `make demo` builds it")
    replicas = []
    screen.heading(f"{REPLICAS} replicas of one app start at once on an empty database, each with")
    screen.say("    lockstep --target v1 \\", f"             --migrate '{MIGRATE}' \\", "             -- ./app.sh", "")
    screen.draw(["starting a private PostgreSQL ..."] if screen.live else [])
    with server.running() as database:
        try:
            migrated, waited = first_start(screen, database, replicas)
            end(replicas)
            replicas.clear()
            screen.say("")
            screen.heading(f"Restart of all {REPLICAS}, the fast path: one connection, one query, exec")
            took = restart(screen, database, replicas)
            closing(screen, database, migrated, waited, took)
        finally:
            end(replicas)


def main():
    screen = timeline.Screen(sys.stdout)
    try:
        try:
            show(screen)
        finally:
            screen.restore()
        return 0
    except stop.Stop as reason:
        print(f"demo: {reason}; everything is cleaned up", file=sys.stderr)
        return reason.status
    except (DemoError, ReplicaError, server.ServerError) as error:
        print(f"demo: {error}", file=sys.stderr)
    except OSError as error:
        print(f"demo: {error}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # if nobody reads us any more, Python would say so once again
    return 1


if __name__ == "__main__":
    sys.exit(main())
