"""A scratch copy of a tool's fixture project: what an image of an app with that tool holds, and how it changes over time."""

import collections
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "e2e"))

from harness import processes
from harness.waiting import eventually

from kit import install

HERE = pathlib.Path(__file__).parents[1]
Done = collections.namedtuple("Done", "status output")
Migration = collections.namedtuple("Migration", "number name statements concurrently")

BASE = (
    Migration(1, "create_task", ["CREATE TABLE task (id serial PRIMARY KEY, title text, done boolean)"], False),
    Migration(2, "index_title", ["CREATE INDEX {concurrently} task_title ON task (title)"], True),
    Migration(3, "first_tasks", ["INSERT INTO task (title) VALUES ('buy milk'), ('water the plants')"], False),
)
FOURTH = Migration(4, "add_note", ["ALTER TABLE task ADD COLUMN note text"], False)
OTHER = Migration(3.5, "add_owner", ["ALTER TABLE task ADD COLUMN owner text"], False)
OLDER = Migration(2.5, "add_color", ["ALTER TABLE task ADD COLUMN color text"], False)
FAILING = Migration(4, "divide", ["ALTER TABLE task ADD COLUMN half int", "UPDATE task SET half = 1 / 0"], False)
ENDLESS = Migration(4, "sleep", ["SELECT pg_sleep(600)"], True)  # like one that builds an index: not in a transaction
# Outside of the schema that the tools work in: Prisma begins in an empty one only. It survives what a tool rolls back.
JOURNAL = """CREATE SCHEMA journal; GRANT USAGE ON SCHEMA journal TO PUBLIC;
CREATE TABLE journal.applied (migration text, pid int DEFAULT pg_backend_pid(),
    application text DEFAULT current_setting('application_name'), at timestamptz DEFAULT clock_timestamp());
GRANT ALL ON journal.applied TO PUBLIC"""


def stamp(number):
    """Ids that sort as the numbers do, also between two of them."""
    return datetime.datetime(2026, 1, 1, 9) + datetime.timedelta(days=10 * number)


def names(migration):
    """What a path, a template or an id in the history table may be made of."""
    at, number = stamp(migration.number), migration.number
    return {
        "id": at.strftime("%Y%m%d%H%M%S"),
        "ms": str(int(at.replace(tzinfo=datetime.timezone.utc).timestamp() * 1000)),
        "serial": int(number) if number == int(number) else int(number) + 1,
        "laravel": at.strftime("%Y_%m_%d_%H%M%S"),
        "revision": f"{int(number * 1000):08x}",
        "name": migration.name,
        "file": f"{int(number) if number == int(number) else int(number) + 1:04d}_{migration.name}",
        "Name": "".join(word.capitalize() for word in migration.name.split("_")),
    }


class Project:
    def __init__(self, tool, folder, database, query=""):
        """`folder` is made; `query` is put behind the database's URL."""
        self.tool, self.query = tool, query
        self.home, self.folder, self.bin, self.marks = folder, folder / "app", folder / "bin", folder / "marks"
        self.migrations, self.extra_env = [], {}
        self._lay_out()
        self.use(database)
        for migration in BASE:
            self.put(migration)

    def use(self, database):
        """Another empty database for the same image."""
        self.database = database
        self.marks.write_text("")
        database.query(JOURNAL)

    # what the image holds

    def _lay_out(self):
        """The fixture's files, the tool's programs, and a wrapper for each of them that leaves a mark when it is started."""
        self.home.mkdir(mode=0o755)
        self.bin.mkdir()
        self.marks.touch()
        self.marks.chmod(0o666)
        shutil.copytree(HERE / self.tool.name / "project", self.folder)
        if self.tool.npm:
            modules = install.npm(self.tool.name, self.tool.npm)
            (self.bin / "node").symlink_to(install.node())
            (self.folder / "node_modules" / ".bin").mkdir(parents=True)
            for entry in modules.iterdir():
                if not entry.name.startswith("."):
                    (self.folder / "node_modules" / entry.name).symlink_to(entry)
            for entry in (modules / ".bin").glob("*"):
                (self.folder / "node_modules" / ".bin" / entry.name).symlink_to(entry.resolve())
        for program, original in self.tool.programs.items():
            at = self.folder / program if "/" in program else self.bin / program
            self._wrap(at, original.format(modules=modules) if "{" in original else original)

    def _wrap(self, program, original):
        """`program` marks its start and becomes `original`; where that is empty, what `program` itself has been."""
        if not original:
            original = program.with_name(f".{program.name}.original")
            program.rename(original)
        program.unlink(missing_ok=True)
        program.write_text(f'#!/bin/sh\necho "$*" >>{self.marks}\nexec {original} "$@"\n')
        program.chmod(0o755)

    def put(self, migration):
        self.migrations = sorted([m for m in self.migrations if m.number != migration.number] + [migration], key=lambda m: m.number)
        self._write(migration)

    def take(self, migration):
        self.migrations.remove(migration)
        path = self.path(migration)
        path.unlink()
        if path.parent != self.directory:
            path.parent.rmdir()
        self._reindex()

    def path(self, migration):
        return self.folder / self.tool.path.format(**names(migration))

    @property
    def directory(self):
        """Where migrations are."""
        return self.folder / self.tool.directory

    def key(self, migration):
        """Its id as the tool's history table has it."""
        return self.tool.key(self, migration) if callable(self.tool.key) else self.tool.key.format(**names(migration))

    def shown(self, migration):
        """Its id as lockstep shows it."""
        return self.tool.shown.format(**names(migration)) if self.tool.shown else self.key(migration)

    def keys(self):
        return [self.key(migration) for migration in self.migrations]

    def previous(self, migration):
        before = [m for m in self.migrations if m.number < migration.number]
        return before[-1] if before else None

    def statements(self, migration):
        concurrently = migration.concurrently and self.tool.concurrently
        found = [s.replace("{concurrently} ", "CONCURRENTLY " if concurrently else "") for s in migration.statements]
        note = f"INSERT INTO journal.applied (migration) VALUES ('{migration.name}')"
        return found if concurrently and self.tool.concurrently == "alone" else [note, *found]

    def _write(self, migration):
        path = self.path(migration)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.text(migration))
        self._reindex()

    def text(self, migration):
        template = (HERE / self.tool.name / "migration.template").read_text()
        concurrently = migration.concurrently and bool(self.tool.concurrently)
        statements, previous = self.statements(migration), self.previous(migration)
        values = {**names(migration), "statements": json.dumps(statements), "sql": "".join(f"{s};\n" for s in statements),
                  "transaction": str(not concurrently).lower(), "Transaction": not concurrently,
                  **{f"previous_{k}": v for k, v in (names(previous) if previous else {}).items()}}
        for condition, part in re.findall(r"^@if (\w+)@\n(.*?)^@end@\n", template, re.S | re.M):
            keep = {"concurrently": concurrently, "transaction": not concurrently, "previous": previous, "first": not previous}[condition]
            template = re.sub(rf"^@if {condition}@\n.*?^@end@\n", lambda _: part if keep else "", template, count=1, flags=re.S | re.M)
        text = re.sub(r"@(\w+)@", lambda found: str(values.get(found[1], found[0])), template)
        return self.tool.finish(self, migration, text) if self.tool.finish else text

    def _reindex(self):
        if self.tool.reindex:
            self.tool.reindex(self)

    # how it changes

    def add_migration(self):
        """A newer image: one more migration."""
        self.put(FOURTH)
        return FOURTH

    def without_newest(self):
        """An older image."""
        newest = self.migrations[-1]
        self.take(newest)
        return newest

    def diverge(self):
        """An image of another branch: instead of the newest migration it has another one, which is newer still."""
        self.take(self.migrations[-1])
        self.put(OTHER)
        return OTHER

    def back_date(self):
        """A migration that is older than the newest one, as a branch brings it that was merged late."""
        self.put(OLDER)
        return OLDER

    def many(self, count):
        for number in range(1000, 1000 + count):
            migration = Migration(number, f"step_{number}", [], False)
            self.migrations.append(migration)
            self.path(migration).parent.mkdir(parents=True, exist_ok=True)
            self.path(migration).write_text(self.text(migration))
        self._reindex()

    def noise(self):
        """Things that may lie beside migrations and are none."""
        for name in self.tool.noise:
            path = self.directory / name.format(**names(BASE[0]))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("nothing that a tool could run\n")

    def double(self):
        """A second file with the id of the newest migration."""
        newest = self.migrations[-1]
        twin = Migration(newest.number, "twin", ["SELECT 1"], False)
        self.path(twin).parent.mkdir(parents=True, exist_ok=True)
        self.path(twin).write_text(self.text(twin))

    def other_table(self, table="other_history"):
        """The history table has another name from now on; with it, lockstep is told how to read it."""
        self.extra_env = {"HISTORY_TABLE": table, **{k: v.format(table=table) for k, v in self.tool.other_table.items()}}

        if self.tool.other_config:
            name, what, by = self.tool.other_config
            file = self.folder / name
            file.write_text(file.read_text().replace(what, by.format(table=table)))

    # what the tool does by itself

    @property
    def url(self):
        query = "&".join(part for part in (self.tool.query, self.query) if part)
        return self.database.url() + (f"?{query}" if query else "")

    @property
    def env(self):
        """The whole environment of the image, but for lockstep's own variables."""
        return {"DATABASE_URL": self.url, "HOME": str(self.home), "LANG": "C.UTF-8", "CI": "true", "NO_COLOR": "1",
                "PATH": f"{self.bin}:/usr/local/bin:/usr/bin:/bin", **self.tool.env, **self.extra_env}

    @property
    def lockstep_env(self):
        """What an image says to lockstep besides LOCKSTEP_TOOL: nothing, where the preset knows the command and the table."""
        told = {} if self.tool.preset and self.command == self.tool.command else {"LOCKSTEP_MIGRATE": self.command}
        if "HISTORY_TABLE" in self.extra_env and not self.tool.other_table:
            told["LOCKSTEP_APPLIED_SQL"] = (self.tool.applied_sql or self.tool.history).format(table=self.extra_env["HISTORY_TABLE"])
        return told

    def start(self, command, **settings):
        return subprocess.Popen(["/bin/sh", "-c", f"exec {command}"], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, start_new_session=True, **{"env": self.env, **settings})

    def call(self, command, timeout=120, **settings):
        process = self.start(command, **settings)
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            return Done(-signal.SIGKILL, f"{output.decode(errors='replace')}\n(still running after {timeout} s)")
        return Done(process.returncode, output.decode(errors="replace"))

    def run(self):
        """The tool's command, as a start of the container without lockstep would run it."""
        return self.call(self.command)

    @property
    def command(self):
        words = self.tool.other_words.format(table=self.extra_env.get("HISTORY_TABLE")) if self.extra_env else ""
        return f"{self.tool.command} {words}".strip()

    def check(self):
        """The tool's own question whether something is pending; the command itself where it has none."""
        return self.call(self.tool.check or self.tool.command)

    def fail(self):
        """A newest migration with an error in it, tried; returns what the tool said."""
        self.put(FAILING)
        return self.run()

    def kill(self):
        """A newest migration that is at work when the tool is killed, as the out-of-memory killer does it."""
        self.put(ENDLESS)
        mark = processes.new_mark()
        process = self.start(self.command, env={**self.env, processes.MARK: mark})
        asleep = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE '%%pg_sleep(600)%%' AND pid <> pg_backend_pid()"
        try:
            eventually(lambda: self.database.query(asleep) or process.poll() is not None, what=f"{self.tool.name} is at work")
        finally:
            processes.end_marked(mark)
            output, _ = process.communicate()
        for row in self.database.query(asleep):
            self.database.terminate(row["pid"])
        return Done(process.returncode, output.decode(errors="replace"))

    def heal(self):
        """The newest migration, which could not be applied, is put right."""
        newest = self.migrations[-1]
        self.put(newest._replace(statements=["SELECT 1"]))

    def repair(self):
        """The tool's own remedy for what a failed or killed run left."""
        return self.call(self.tool.repair.format(key=self.key(self.migrations[-1])))

    # what was done

    def started(self):
        """The command lines with which the tool was started, without those that only asked."""
        return [line for line in self.marks.read_text().splitlines() if not self.tool.asks or not re.search(self.tool.asks, line)]

    def history(self):
        """The ids in the tool's own table, in the order in which they were applied."""
        sql = self.tool.history.format(table=self.extra_env.get("HISTORY_TABLE", self.tool.table))
        relation = re.search(r"FROM ([\w.\"]+)", sql)[1]
        schema = re.search(r"search_path(?:%3D|=)(\w+)|\bschema=(\w+)", self.query)
        if schema and "." not in relation:
            sql = sql.replace(f"FROM {relation}", f"FROM {schema[1] or schema[2]}.{relation}")
            relation = f"{schema[1] or schema[2]}.{relation}"
        if not self.database.query("SELECT to_regclass(%s) IS NOT NULL AS there", relation)[0]["there"]:
            return []
        return [str(row["key"]) for row in self.database.query(sql.replace("%", "%%"))]

    def journal(self):
        """How often each migration came to its end: name → count. One that builds an index concurrently may not be able to tell."""
        return collections.Counter(row["migration"] for row in self.database.query("SELECT migration FROM journal.applied"))

    def indexed(self):
        """Whether the index that is built concurrently where the tool can is there and valid."""
        return [row["ok"] for row in self.database.query(
            "SELECT i.indisvalid AS ok FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relname = 'task_title'")] == [True]

    def assert_applied_once(self):
        """Each migration of the image, exactly once."""
        assert self.tool.same(self, self.history()), f"{self.history()} in the history of {self.keys()}"
        wanted = {m.name: 1 for m in self.migrations if m.number < 1000 and any("journal" in s for s in self.statements(m))}
        assert {name: n for name, n in self.journal().items() if n != 1 or name in wanted} == wanted, f"applied: {dict(self.journal())}"
        assert self.indexed(), "the index is there and valid"
