"""One row a tool: a tool is added by a row here and a folder beside this file, with

    project/             what an app's image holds, without the migrations; it reads DATABASE_URL
    migration.template   a migration: @sql@, @statements@ (a JSON array), @name@, @id@, ... (kit/project.py has all of them),
                         @if concurrently@ ... @end@ for the one that builds an index

What a row says about a tool has been seen: test_fixtures.py runs each tool by itself and compares."""

import dataclasses
import hashlib
import json
import typing

# How a history table's ids have to be compared with the image's.
SET, HEAD, LAST = "set", "head", "last"


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
    check: str = ""                              # the tool's own question whether something is pending
    asks: str = ""                               # a pattern: command lines that only ask
    env: dict = dataclasses.field(default_factory=dict)
    query: str = ""                              # what the tool wants in DATABASE_URL
    tenant: str = "options=-csearch_path%3Dtenant"            # what puts everything into the schema `tenant`
    concurrently: typing.Union[bool, str] = True # CREATE INDEX CONCURRENTLY: True, False (it cannot) or "alone" (nothing else beside it)
    reindex: typing.Optional[typing.Callable] = None          # called when a migration came or went
    noise: tuple = ("README.md", ".hidden", "notes.txt")      # beside migrations, ignored by the tool
    double: bool = False                         # two files can have one id
    other_table: dict = dataclasses.field(default_factory=dict)  # variables that name another history table, besides the fixtures' HISTORY_TABLE
    # what it does when ...                        (exit status, words that it says)
    ahead: tuple = (0, "")                       # the database has more than the image
    diverged: tuple = (0, "")                    # it lacks the image's newest one and has another
    back_dated: str = "applied"                  # an older migration comes late: applied, skipped or refused
    again: tuple = (1, "")                       # a run after a failed one
    dirty: str = ""                              # what leaves a state that needs a person: "failed" (a migration), "killed" (the tool)
    dirty_says: str = ""                         # what it says then
    repair: str = ""                             # its own remedy; {key} is the failed migration
    preset: bool = True                          # lockstep knows the command by itself
    slow: bool = False                           # a run takes ten seconds

    @property
    def directory(self):
        return self.path.split("/{")[0]

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
        noise=("README.md", ".hidden", "migration_lock.toml"),
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
        command=f"{BIN}typeorm migration:run -d data-source.js",
        check=f"{BIN}typeorm migration:show -d data-source.js",
        asks="^migration:show",
        path="migrations/{ms}-{Name}.js",
        key="{Name}{ms}",
        table="migrations",
        history="SELECT name AS key FROM {table} ORDER BY id",
        noise=("README.md", ".hidden", "{ms}-X.d.ts"),
        double=True,
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
        double=True,
        other_table={"DBMATE_MIGRATIONS_TABLE": "{table}"},
    ),
    Tool(
        name="alembic",
        programs={"alembic": "/usr/bin/alembic"},
        command="alembic upgrade head",
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
        back_dated="refused",
    ),
    Tool(
        name="django",
        programs={"python": "/usr/bin/python3"},
        command="python manage.py migrate --noinput",
        check="python manage.py migrate --check",
        asks="migrate --check",
        path="tasks/migrations/{serial:04d}_{name}.py",
        key="{serial:04d}_{name}",
        table="django_migrations",
        history="SELECT name AS key FROM {table} WHERE app = 'tasks' ORDER BY id",
        noise=("README.md", ".hidden", "_draft.py"),
        diverged=(0, ""),
        back_dated="refused",
    ),
)}
