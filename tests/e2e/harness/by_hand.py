"""A migration tool that nobody knows: files 001_x.sql in a folder, a table `history` (id, failed), told to lockstep by options."""


class Tool:
    """`place.stage` gets what a user would set; the tool itself is a shell script that applies what is missing, in order."""

    def __init__(self, stage, database, count=3, table="history"):
        self.stage, self.database, self.table = stage, database, table
        self.folder = stage.directory / "migrations"
        self.folder.mkdir()
        for n in range(1, count + 1):
            self.add(n)
        stage.env.update({"DATABASE_URL": database.url(), "LOCKSTEP_MIGRATIONS": str(self.folder),
                          "LOCKSTEP_MIGRATIONS_PATTERN": r"^([0-9]+)_.*\.sql$",
                          "LOCKSTEP_APPLIED_SQL": f"SELECT id FROM {table} WHERE NOT failed",
                          "LOCKSTEP_FAILED_SQL": f"SELECT id, 'log of ' || id FROM {table} WHERE failed"})

    def add(self, n, name="x"):
        (self.folder / f"{n:03}_{name}.sql").write_text(f"-- {n}\n")

    def remove(self, n):
        [file] = self.folder.glob(f"{n:03}_*")
        file.unlink()

    def migration(self, before="", after="", skip="none"):
        """Applies every file that the table has not; `skip` is an id that the tool leaves out and says nothing of."""
        return self.stage.script(
            f"$STAMP start; {before}\n$SQL -c 'CREATE TABLE IF NOT EXISTS {self.table} (id text, failed boolean DEFAULT false)' >/dev/null\n"
            f"for f in {self.folder}/*.sql; do id=${{f##*/}}; id=${{id%%_*}}; [ $id = {skip} ] && continue; "
            f"$SQL -c \"INSERT INTO {self.table} SELECT '$id' WHERE NOT EXISTS (SELECT FROM {self.table} WHERE id = '$id')\"; done\n"
            f"$STAMP end; {after}")

    def start(self, *options, **more):
        more.setdefault("migrate", self.migration())
        return self.stage.start(*options, target=None, **more)

    def crowd(self, n, *options, **more):
        return [self.start(*options, **more) for _ in range(n)]

    def leader(self, **more):
        return self.stage.leader(target=None, migrate=self.migration(before="hold"), **more)

    def make(self, *ids, failed=()):
        """The table as somebody else has left it."""
        self.database.query(f"CREATE TABLE {self.table} (id text, failed boolean DEFAULT false); "
                            f"ALTER TABLE {self.table} OWNER TO app")
        for id in (*ids, *failed):
            self.database.query(f"INSERT INTO {self.table} VALUES (%s, %s)", f"{id:03}", id in failed)
