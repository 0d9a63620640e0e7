"""One row a tool: a tool is added by a row here and a folder beside this file, with

    project/             what an app's image holds, without the migrations; it reads DATABASE_URL
    migration.template   a migration: @sql@, @statements@ (a JSON array), @name@, @id@, ... (kit/project.py has all of them),
                         @if concurrently@ ... @end@ for the one that builds an index

What a row says about a tool has been seen: test_fixtures.py runs each tool by itself and compares."""

import dataclasses
import hashlib
import json
import re
import typing

# How a history table's ids have to be compared with the image's.
SET, HEAD, LAST, CHECK = "each is a row", "only the newest is a row", "the newest counts", "the tool is asked"


@dataclasses.dataclass(frozen=True)
class Tool:
    name: str                                    # as LOCKSTEP_TOOL has it, and the folder
    command: str                                 # what applies the migrations; by /bin/sh in the project's folder
    path: str                                    # of a migration
    table: str                                   # the history table
    history: str                                 # its ids, as `key`, in the order in which they were applied
    npm: tuple = ()                              # packages with their versions; what Debian has is in packages.txt
    programs: dict = dataclasses.field(default_factory=dict)  # what is started → the real one ({modules}); "" = wrap the file of the project
    key: typing.Union[str, typing.Callable] = "{id}_{name}"   # a migration's id in the history
    compare: str = SET
    shown: str = ""                              # ... and as lockstep shows it, where it differs
    applied_sql: str = ""                        # what lockstep is told for a table of another name, where `history` will not do
    reads: str = ""                              # what lockstep reads, where it is not the folder of the migrations
    check: str = ""                              # the tool's own question whether something is pending
    asks: str = ""                               # a pattern: command lines that only ask
    env: dict = dataclasses.field(default_factory=dict)
    query: str = ""                              # what the tool wants in DATABASE_URL
    tenant: str = "options=-csearch_path%3Dtenant"            # what puts everything into the schema `tenant`
    concurrently: typing.Union[bool, str] = True # CREATE INDEX CONCURRENTLY: True, False (it cannot) or "alone" (nothing else beside it)
    reindex: typing.Optional[typing.Callable] = None          # called when a migration came or went
    finish: typing.Optional[typing.Callable] = None           # the last word on a migration's text
    noise: tuple = ("README.md", ".hidden", "notes.txt")      # beside migrations, ignored by the tool
    double: str = ""                             # a second file with one id: refused, or applied as well; "" = cannot be
    many: bool = False                           # 5,000 migrations are no matter
    other_table: dict = dataclasses.field(default_factory=dict)  # variables that name another history table, besides the fixtures' HISTORY_TABLE
    other_config: tuple = ()                     # or the words to replace: (file, what, by what)
    other_words: str = ""                        # or what the command needs besides
    movable: bool = True                         # ... if it can have another name at all
    # what it does when ...                        (exit status, words that it says)
    ahead: tuple = (0, "")                       # the database has more than the image
    diverged: tuple = (0, "")                    # it lacks the image's newest one and has another
    back_dated: str = "applied"                  # an older migration comes late: applied, skipped or refused
    dirty: str = ""                              # what leaves a state that needs a person: "failed" (a migration), "killed" (the tool)
    dirty_says: str = ""                         # what it says then
    repair: str = ""                             # its own remedy; {key} is the failed migration
    preset: bool = True                          # lockstep knows the command by itself
    slow: bool = False                           # a run takes ten seconds

    @property
    def directory(self):
        return self.path[:self.path.index("{")].rpartition("/")[0]

    def same(self, project, history):
        """Whether the history is just what the image wants."""
        if self.compare == HEAD:
            return history == project.keys()[-1:]
        return sorted(history) == sorted(project.keys())


def drizzle_key(project, migration):
    return hashlib.sha256(project.text(migration).encode()).hexdigest()


def drizzle_journal(project):
    from kit.project import names
    folder = project.directory / "meta"
    folder.mkdir(exist_ok=True)
    entries = [{"idx": n, "version": "7", "when": int(names(m)["ms"]), "tag": project.path(m).stem, "breakpoints": True}
               for n, m in enumerate(project.migrations)]
    (folder / "_journal.json").write_text(json.dumps({"version": "7", "dialect": "postgresql", "entries": entries}, indent=2))


def sqitch_plan(project):
    from kit.project import stamp
    lines = ["%syntax-version=1.0.0", "%project=tasks", ""]
    lines += [f"{m.name} {stamp(m.number):%Y-%m-%dT%H:%M:%SZ} Test <test@example.org>" for m in project.migrations]
    (project.folder / "sqitch.plan").write_text("\n".join(lines) + "\n")


def graphile_header(project, migration, body):
    """A committed migration carries its hash, which covers the one before."""
    previous = project.previous(migration)
    before = re.search("^--! Hash: (.*)", project.text(previous), re.M)[1] if previous else ""
    own = hashlib.sha1(((before + "\n" + body.strip()).strip() + "\n").encode()).hexdigest()
    return f"--! Previous: {before or '-'}\n--! Hash: sha1:{own}\n--! Message: {migration.name}\n\n{body}"


BIN = "node_modules/.bin/"


def local(program):
    return {f"{BIN}{program}": "{modules}/.bin/" + program}


TOOLS = {tool.name: tool for tool in (
    Tool(
        name="prisma",
        npm=("prisma@6.19.3", "@prisma/adapter-pg@7.10.1", "pg@8.23.1"),
        programs=local("prisma"),
        # Its native engines cannot be downloaded here; the one in JavaScript still looks for their files.
        env={"PRISMA_QUERY_ENGINE_LIBRARY": "/bin/true", "PRISMA_SCHEMA_ENGINE_BINARY": "/bin/true", "PRISMA_HIDE_UPDATE_MESSAGE": "1",
             "CHECKPOINT_DISABLE": "1"},
        command=f"{BIN}prisma migrate deploy",
        check=f"{BIN}prisma migrate status",
        asks="^migrate status",
        path="prisma/migrations/{id}_{name}/migration.sql",
        table="_prisma_migrations",
        history="SELECT migration_name AS key FROM {table} WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL ORDER BY started_at",
        tenant="schema=tenant",
        concurrently="alone",
        movable=False,
        noise=("README.md", ".hidden", "notes.txt"),
        dirty="failed", dirty_says="P3009",
        repair=f"{BIN}prisma migrate resolve --rolled-back {{key}}",
        slow=True,
    ),
    Tool(
        name="drizzle",
        npm=("drizzle-kit@0.31.11", "drizzle-orm@0.45.4", "pg@8.23.1"),
        programs=local("drizzle-kit"),
        command=f"{BIN}drizzle-kit migrate",
        path="drizzle/{serial:04d}_{name}_{id}.sql",
        table="__drizzle_migrations",
        key=drizzle_key,
        shown="{ms}",
        applied_sql="SELECT '<=' || max(created_at) FROM drizzle.{table} HAVING max(created_at) IS NOT NULL",
        reindex=drizzle_journal,
        history="SELECT hash AS key FROM drizzle.{table} ORDER BY id",
        tenant="",
        compare=LAST,
        concurrently=False,
        noise=("README.md", ".hidden", "meta/0001_snapshot.json", "{id}_stray.sql"),
        back_dated="skipped",
    ),
    Tool(
        name="knex",
        npm=("knex@3.3.0", "pg@8.23.1"),
        programs=local("knex"),
        command=f"{BIN}knex migrate:latest",
        check=f"{BIN}knex migrate:status",
        asks="^migrate:status",
        path="migrations/{id}_{name}.js",
        key="{id}_{name}.js",
        table="knex_migrations",
        history="SELECT name AS key FROM {table} ORDER BY id",
        noise=("README.md", ".hidden", "{id}_x.d.ts.txt"),
        ahead=(1, "migration directory is corrupt"),
        diverged=(1, "migration directory is corrupt"),
        dirty="killed", dirty_says="already locked",
        repair=f"{BIN}knex migrate:unlock",
    ),
    Tool(
        name="typeorm",
        npm=("typeorm@1.1.1", "pg@8.23.1"),
        programs=local("typeorm"),
        command=f"{BIN}typeorm migration:run -d dist/data-source.js",
        check=f"{BIN}typeorm migration:show -d dist/data-source.js",
        asks="^migration:show",
        path="dist/migrations/{ms}-{Name}.js",
        key="{Name}{ms}",
        shown="{ms}",
        applied_sql='SELECT "timestamp" FROM {table}',
        table="migrations",
        history="SELECT name AS key FROM {table} ORDER BY id",
        noise=("README.md", ".hidden", "{ms}-X.d.ts"),
        double="applied",
    ),
    Tool(
        name="sequelize",
        npm=("sequelize@6.37.8", "sequelize-cli@6.6.5", "pg@8.23.1"),
        programs=local("sequelize-cli"),
        command=f"{BIN}sequelize-cli db:migrate",
        check=f"{BIN}sequelize-cli db:migrate:status",
        asks="^db:migrate:status",
        path="migrations/{id}-{name}.js",
        key="{id}-{name}.js",
        table="SequelizeMeta",
        history='SELECT name AS key FROM "{table}" ORDER BY name',
        tenant="",  # it takes nothing from the URL's query
        noise=("README.md", ".hidden", "{id}-x.d.ts"),
    ),
    Tool(
        name="dbmate",
        npm=("@dbmate/linux-{cpu}@2.36.0",),
        programs={"dbmate": "{modules}/@dbmate/linux-" + __import__("kit.install").install.CPU + "/bin/dbmate"},
        command="dbmate --no-dump-schema migrate",
        check="dbmate status --exit-code --quiet",
        asks="^status",
        query="sslmode=disable",
        path="db/migrations/{id}_{name}.sql",
        key="{id}",
        table="schema_migrations",
        history="SELECT version AS key FROM {table} ORDER BY version",
        tenant="search_path=tenant",
        concurrently="alone",
        noise=("README.md", ".hidden", "notes.txt", "seed.sql"),
        double="refused",
        other_table={"DBMATE_MIGRATIONS_TABLE": "{table}"},
        many=True,
    ),
    Tool(
        name="alembic",
        programs={"alembic": "/usr/bin/alembic"},
        command="alembic upgrade heads",
        check="alembic current",
        asks="^current",
        path="alembic/versions/{revision}_{name}.py",
        key="{revision}",
        table="alembic_version",
        history="SELECT version_num AS key FROM {table} ORDER BY version_num",
        compare=HEAD,
        noise=("README.md", ".hidden", ".#x.py", "__init__.py"),
        ahead=(255, "Can't locate revision"),
        diverged=(255, "Can't locate revision"),
    ),
    Tool(
        name="django",
        programs={"python3": "/usr/bin/python3"},
        command="python3 manage.py migrate --noinput",
        check="python3 manage.py migrate --check",
        asks="migrate --check",
        compare=CHECK,
        path="tasks/migrations/{serial:04d}_{name}.py",
        key="{serial:04d}_{name}",
        table="django_migrations",
        history="SELECT name AS key FROM {table} WHERE app = 'tasks' ORDER BY id",
        movable=False,
        noise=("README.md", ".hidden", "_draft.py"),
        back_dated="refused",
    ),
    Tool(
        name="node-pg-migrate",
        npm=("node-pg-migrate@9.0.0", "pg@8.23.1"),
        programs=local("node-pg-migrate"),
        command=f"{BIN}node-pg-migrate up",
        path="migrations/{ms}_{name}.js",
        key="{ms}_{name}",
        table="pgmigrations",
        history="SELECT name AS key FROM {table} ORDER BY id",
        tenant="",  # it says "public" wherever it speaks of its table
        other_words="--migrations-table {table}",
        noise=(".hidden",),  # any other file is an error
        diverged=(1, "preceding already run"),
        back_dated="refused",
    ),
    Tool(
        name="kysely",
        npm=("kysely@0.29.9", "kysely-ctl@0.21.0", "pg@8.23.1"),
        programs=local("kysely"),
        command=f"{BIN}kysely migrate:latest",
        check=f"{BIN}kysely migrate:list",
        asks="^migrate:list",
        path="migrations/{id}_{name}.ts",
        table="kysely_migration",
        history="SELECT name AS key FROM {table} ORDER BY timestamp, name",
        noise=("README.md", ".hidden", "{id}_x.d.ts"),
        ahead=(1, "corrupted migrations"),
        diverged=(1, "corrupted migrations"),
        back_dated="refused",
    ),
    Tool(
        name="mikro-orm",
        npm=("@mikro-orm/core@6.6.16", "@mikro-orm/cli@6.6.16", "@mikro-orm/migrations@6.6.16", "@mikro-orm/postgresql@6.6.16",
             "@mikro-orm/knex@6.6.16"),
        programs=local("mikro-orm"),
        command=f"{BIN}mikro-orm migration:up",
        check=f"{BIN}mikro-orm migration:pending",
        asks="^migration:pending",
        path="migrations/Migration{id}_{name}.js",
        key="Migration{id}_{name}",
        table="mikro_orm_migrations",
        history="SELECT name AS key FROM {table} ORDER BY id",
        tenant="",  # it takes nothing from the URL's query
        noise=("README.md", ".hidden", ".snapshot-tasks.json", "Migration{id}_x.d.ts"),
    ),
    Tool(
        name="db-migrate",
        npm=("db-migrate@0.11.14", "db-migrate-pg@1.5.2"),
        programs=local("db-migrate"),
        command=f"{BIN}db-migrate up",
        check=f"{BIN}db-migrate check",
        asks="^check",
        path="migrations/{id}-{name}.js",
        key="/{id}-{name}",
        shown="{id}-{name}",
        applied_sql="SELECT ltrim(name, '/') FROM {table}",
        table="migrations",
        history="SELECT name AS key FROM {table} ORDER BY id",
        noise=("README.md", ".hidden"),
        other_config=(".db-migraterc", "migrations", "{table}"),
    ),
    Tool(
        name="graphile-migrate",
        npm=("graphile-migrate@1.4.1",),
        programs=local("graphile-migrate"),
        command=f"{BIN}graphile-migrate migrate",
        path="migrations/committed/{serial:06d}-{name}.sql",
        key="{serial:06d}.sql",
        finish=graphile_header,
        table="migrations",
        history="SELECT filename AS key FROM graphile_migrate.{table} ORDER BY filename",
        shown="{serial}",
        double="refused",
        tenant="",
        concurrently="alone",
        movable=False,
        noise=("README.md", ".hidden", "../fixtures/x.sql"),
        back_dated="refused",
    ),
    Tool(
        name="rails",
        programs={"bin/rails": ""},
        env={"RAILS_ENV": "production", "SECRET_KEY_BASE": "of a test"},
        command="bin/rails db:migrate",
        check="bin/rails db:abort_if_pending_migrations",
        asks="^db:abort",
        path="db/migrate/{id}_{name}.rb",
        key="{id}",
        table="schema_migrations",
        history="SELECT version AS key FROM {table} ORDER BY version",
        tenant="schema_search_path=tenant",
        noise=("README.md", ".hidden", "helper.rb"),
        double="refused",
    ),
    Tool(
        name="sqitch",
        programs={"sqitch": "/usr/bin/sqitch"},
        command='sqitch deploy "db:$DATABASE_URL"',
        check='sqitch status "db:$DATABASE_URL"',
        asks="^status",
        path="deploy/{name}.sql",
        key="{name}",
        reindex=sqitch_plan,
        reads="sqitch.plan",
        table="sqitch",
        history="SELECT change AS key FROM {table}.changes ORDER BY committed_at",
        tenant="",
        noise=("README.md", ".hidden", "stray.sql"),
        ahead=(2, "Cannot find change"),
        diverged=(2, "Cannot find change"),
        back_dated="refused",
        other_config=("sqitch.conf", "registry = sqitch", "registry = {table}"),
    ),
    Tool(
        name="sql-migrate",
        programs={"sql-migrate": "/usr/bin/sql-migrate"},
        command="sql-migrate up -env=production",
        check="sql-migrate status -env=production",
        asks="^status",
        query="sslmode=disable",
        path="migrations/{id}_{name}.sql",
        key="{id}_{name}.sql",
        table="gorp_migrations",
        history="SELECT id AS key FROM {table} ORDER BY id",
        tenant="search_path=tenant",
        noise=("README.md", ".hidden"),
        ahead=(1, "unknown migration in database"),
        diverged=(1, "unknown migration in database"),
        other_config=("dbconfig.yml", "table: gorp_migrations", "table: {table}"),
    ),
    Tool(
        name="yoyo",
        programs={"yoyo": "/usr/bin/yoyo"},
        command='yoyo apply --batch --database "$DATABASE_URL" ./migrations',
        check='yoyo list -d "$DATABASE_URL" ./migrations',
        asks="^list",
        path="migrations/{id}_{name}.py",
        table="_yoyo_migration",
        history="SELECT migration_id AS key FROM {table} ORDER BY applied_at_utc",
        noise=("README.md", ".hidden", "{id}_x.rollback.sql"),
        dirty="killed", dirty_says="has locked this database",
        repair='yoyo break-lock -d "$DATABASE_URL"',
        other_config=("yoyo.ini", "migration_table = _yoyo_migration", "migration_table = {table}"),
    ),
    Tool(
        name="laravel",
        programs={"php": "/usr/bin/php"},
        command="php artisan migrate --force",
        path="database/migrations/{laravel}_{name}.php",
        key="{laravel}_{name}",
        table="migrations",
        history="SELECT migration AS key FROM {table} ORDER BY id",
        tenant="",
        noise=("README.md", ".hidden"),
    ),
)}
