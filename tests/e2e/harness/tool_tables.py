"""The history tables of the tools as their own sources make them, for tools that need not be installed for it.

A project has two migrations. `one` are the rows when the first is applied, `both` those that come with the second,
`more` those of a migration that the image does not have; `failed` are rows of a failed second one."""

from dataclasses import dataclass, field

PRISMA = ("INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name, logs, rolled_back_at) VALUES "
          "(gen_random_uuid(), '', {finished}, '{name}', {logs}, {back});")


def prisma(name, finished="now()", logs="NULL", back="NULL"):
    return PRISMA.format(**locals())


@dataclass
class Case:
    tool: str
    files: list             # a file, or (file, content)
    ddl: str
    one: str
    both: str
    more: str
    failed: str = ""
    remedy: str = ""
    label: str = ""
    env: dict = field(default_factory=dict)
    parameters: str = ""    # of the URL

    @property
    def name(self):
        return self.label or self.tool


def rows(table, *values):
    return "".join(f"INSERT INTO {table} VALUES ({value});" for value in values)


def simple(tool, files, ddl, table, ids, row="'{}'", **more):
    """A table of a row a migration."""
    one, both, ahead = (rows(table, row.format(id)) for id in ids)
    return Case(tool, files, ddl, one, both, ahead, **more)


SCRIPT = "revision = '{}'\ndown_revision = {}\n"
JOURNAL = '{"version":"7","entries":[{"idx":0,"when":1700000000000,"tag":"0000_a"},{"idx":1,"when":1700000000500,"tag":"0001_b"}]}'
PLAN = ("%syntax-version=1.0.0\n%project=shop\n\nusers 2024-01-01T00:00:00Z A <a@b.c> # a\n@v1 2024-01-02T00:00:00Z A <a@b.c> # t\n"
        "users [users@v1] 2024-01-03T00:00:00Z A <a@b.c> # b\n")
FLYWAY_DDL = ("CREATE TABLE {} (installed_rank int PRIMARY KEY, version varchar(50), description varchar(200) NOT NULL, type varchar(20) "
              "NOT NULL, script varchar(1000) NOT NULL, checksum int, installed_by varchar(100) NOT NULL, installed_on timestamp NOT "
              "NULL DEFAULT now(), execution_time int NOT NULL, success boolean NOT NULL);")
SQITCH_DDL = ("CREATE SCHEMA sqitch; CREATE TABLE sqitch.changes (change_id text PRIMARY KEY, script_hash text, change text NOT NULL, "
              "project text NOT NULL, note text NOT NULL DEFAULT '', committed_at timestamptz NOT NULL DEFAULT clock_timestamp(), "
              "planned_at timestamptz NOT NULL);")
ATLAS_DDL = ("CREATE SCHEMA atlas_schema_revisions; CREATE TABLE atlas_schema_revisions.atlas_schema_revisions (version varchar PRIMARY "
             "KEY, description varchar NOT NULL, type bigint NOT NULL DEFAULT 2, applied bigint NOT NULL DEFAULT 0, total bigint NOT NULL "
             "DEFAULT 0, executed_at timestamptz NOT NULL DEFAULT now(), execution_time bigint NOT NULL DEFAULT 0, error text, error_stmt "
             "text, hash varchar NOT NULL DEFAULT '', partial_hashes jsonb, operator_version varchar NOT NULL DEFAULT '');"
             "INSERT INTO atlas_schema_revisions.atlas_schema_revisions VALUES ('.atlas_cloud_identifier', 'x');")


def flyway(rank, version, script, type="SQL", checksum="0", success="true", table="flyway_schema_history"):
    version = f"'{version}'" if version else "NULL"
    return rows(table, f"{rank}, {version}, 'd', '{type}', '{script}', {checksum}, 'me', now(), 1, {success}")


def atlas(version, type=2, applied=1, total=1, error="NULL"):
    return (f"INSERT INTO atlas_schema_revisions.atlas_schema_revisions (version, description, type, applied, total, error) "
            f"VALUES ('{version}', 'd', {type}, {applied}, {total}, {error});")


CHECKPOINT = ["migrations/20240101_a.sql", "migrations/20240102_b.sql", ("migrations/20240103_c.sql", "-- atlas:checkpoint\n\nSELECT 1;\n"),
              "migrations/20240104_d.sql"]


def sqitch(id, change, day, project="shop"):
    return (f"INSERT INTO sqitch.changes (change_id, change, project, planned_at) VALUES "
            f"('{id}', '{change}', '{project}', '2024-01-{day:02}');")


def node(tool, extension, in_table, **more):
    names = [f"2024010100000{n}-m.{extension}" for n in (1, 2, 3)]
    files = [f"migrations/{name}" for name in names[:2]]
    ids = names if in_table else [name.rsplit(".", 1)[0] for name in names]
    return files, ids


KNEX = node("knex", "js", True)
PGM = node("node-pg-migrate", "js", False)
LOCKED = "CREATE TABLE {0} (index serial PRIMARY KEY, is_locked int); INSERT INTO {0} (is_locked) VALUES ({1});"
KNEX_DDL = "CREATE TABLE {} (id serial PRIMARY KEY, name varchar(255), batch int, migration_time timestamptz);"
GOLANG = ["migrations/000001_a.up.sql", "migrations/000001_a.down.sql", "migrations/000002_b.up.sql"]
GOLANG_DDL = "CREATE TABLE {} (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL);"


def golang(version, dirty="false", table="schema_migrations"):
    return f"TRUNCATE {table};" + rows(table, f"{version}, {dirty}")


CASES = [
    Case("prisma", ["prisma/migrations/1_a/migration.sql", "prisma/migrations/2_b/migration.sql"],
         "CREATE TABLE _prisma_migrations (id varchar(36) PRIMARY KEY, checksum varchar(64) NOT NULL, finished_at timestamptz, migration_name "
         "varchar(255) NOT NULL, logs text, rolled_back_at timestamptz, started_at timestamptz NOT NULL DEFAULT now(), applied_steps_count "
         "int NOT NULL DEFAULT 0);",
         prisma("1_a") + prisma("2_b", finished="NULL", back="now()"), prisma("2_b"), prisma("3_c"),
         prisma("2_b", finished="NULL", logs="'its own log'"), "prisma migrate resolve --rolled-back \"2_b\""),
    Case("drizzle", [("drizzle/meta/_journal.json", JOURNAL)],
         "CREATE SCHEMA drizzle; CREATE TABLE drizzle.__drizzle_migrations (id serial PRIMARY KEY, hash text NOT NULL, created_at bigint);",
         *(f"INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ('h', {when});"
           for when in (1700000000000, 1700000000500, 1800000000000))),
    simple("knex", KNEX[0], KNEX_DDL.format("knex_migrations") + LOCKED.format("knex_migrations_lock", 0), "knex_migrations (name)", KNEX[1],
           failed="UPDATE knex_migrations_lock SET is_locked = 1;", remedy="knex migrate:unlock"),
    simple("knex", [*KNEX[0], ("knexfile.js", "module.exports = { migrations: { tableName: 'Ran', schemaName: 'own' } }")],
           "CREATE SCHEMA own;" + KNEX_DDL.format('own."Ran"') + LOCKED.format('own."Ran_lock"', 0), 'own."Ran" (name)', KNEX[1],
           failed='UPDATE own."Ran_lock" SET is_locked = 1;', remedy="knex migrate:unlock", label="knex-configured"),
    simple("typeorm", ["dist/migrations/1700000000001-A.js", "dist/migrations/1700000000002-B.js"],
           "CREATE TABLE migrations (id serial PRIMARY KEY, timestamp bigint NOT NULL, name varchar NOT NULL);",
           "migrations (timestamp, name)", ["1700000000001", "1700000000002", "1700000000003"], "{0}, 'Any{0}'"),
    simple("sequelize", KNEX[0], 'CREATE TABLE "SequelizeMeta" (name varchar(255) NOT NULL PRIMARY KEY);', '"SequelizeMeta"', KNEX[1]),
    simple("node-pg-migrate", PGM[0], "CREATE TABLE pgmigrations (id serial PRIMARY KEY, name varchar(255) NOT NULL, run_on timestamp NOT NULL);",
           "pgmigrations (name, run_on)", PGM[1], "'{}', now()"),
    simple("kysely", PGM[0], "CREATE TABLE kysely_migration (name varchar(255) PRIMARY KEY, timestamp varchar(255) NOT NULL);",
           "kysely_migration", PGM[1], "'{}', 'now'"),
    simple("mikro-orm", ["migrations/Migration20240101000001.js", "migrations/Migration20240101000002.js", "migrations/.snapshot-x.json"],
           "CREATE TABLE mikro_orm_migrations (id serial PRIMARY KEY, name varchar(255), executed_at timestamptz DEFAULT now());",
           "mikro_orm_migrations (name)", [f"Migration2024010100000{n}" for n in (1, 2, 3)]),
    simple("db-migrate", PGM[0], "CREATE TABLE migrations (id serial PRIMARY KEY, name varchar(255) NOT NULL, run_on timestamp NOT NULL);",
           "migrations (name, run_on)", PGM[1], "'/{}', now()"),
    simple("graphile-migrate", ["migrations/committed/000001.sql", "migrations/committed/000002-b.sql", "migrations/current.sql"],
           "CREATE SCHEMA graphile_migrate; CREATE TABLE graphile_migrate.migrations (hash text PRIMARY KEY, previous_hash text, filename text "
           "NOT NULL, date timestamptz NOT NULL DEFAULT now());", "graphile_migrate.migrations (hash, filename)",
           ["000001.sql", "000002.sql", "000003.sql"], "'sha1:{0}', '{0}'"),
    simple("dbmate", ["db/migrations/20240101_a.sql", "db/migrations/20240102_b.sql"],
           "CREATE TABLE schema_migrations (version varchar PRIMARY KEY);", "schema_migrations", ["20240101", "20240102", "20240103"]),
    Case("golang-migrate", GOLANG, GOLANG_DDL.format("schema_migrations"), golang(1), golang(2), golang(3), golang(2, "true"), "force 2"),
    Case("golang-migrate", GOLANG, "CREATE SCHEMA own;" + GOLANG_DDL.format('own."Mine"'), *(golang(n, table='own."Mine"') for n in (1, 2, 3)),
         golang(2, "true", 'own."Mine"'), "force 2", label="golang-migrate-quoted",
         parameters="x-migrations-table=%22own%22.%22Mine%22&x-migrations-table-quoted=1"),
    simple("goose", ["migrations/00001_a.sql", "migrations/00002_b.go"],
           "CREATE TABLE goose_db_version (id int PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, version_id bigint NOT NULL, is_applied boolean "
           "NOT NULL, tstamp timestamp NOT NULL DEFAULT now()); INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, true), "
           "(2, true), (2, false);", "goose_db_version (version_id, is_applied)", ["1", "2", "3"], "{}, true"),
    Case("tern", ["migrations/001_a.sql", "migrations/002_b.sql"],
         "CREATE TABLE public.schema_version (version int4 PRIMARY KEY); INSERT INTO schema_version VALUES (0);",
         *(f"UPDATE schema_version SET version = {n};" for n in (1, 2, 3))),
    simple("sql-migrate", ["migrations/1_a.sql", "migrations/2_b.sql"], "CREATE TABLE gorp_migrations (id text PRIMARY KEY, applied_at timestamptz);",
           "gorp_migrations (id)", ["1_a.sql", "2_b.sql", "3_c.sql"]),
    Case("atlas", ["migrations/20240101_a.sql", "migrations/20240102.sql", "migrations/atlas.sum"], ATLAS_DDL,
         atlas("20240101"), atlas("20240102"), atlas("20240103")),
    Case("atlas", ["migrations/20240101_a.sql", "migrations/20240102.sql", "migrations/20240103_c.sql"], ATLAS_DDL,
         atlas("20240102", type=1, applied=0, total=0), atlas("20240103"), atlas("20240104"), label="atlas-baseline"),
    Case("atlas", ["migrations/20240101_a.sql", "migrations/20240102.sql"],
         *(text.replace("SCHEMA atlas_schema_revisions", "SCHEMA own").replace("atlas_schema_revisions.", "own.")
           for text in (ATLAS_DDL, atlas("20240101"), atlas("20240102"), atlas("20240103"))), label="atlas-schema", parameters="search_path=own"),
    Case("atlas", CHECKPOINT, ATLAS_DDL, atlas("20240103"), atlas("20240104"), atlas("20240105"), label="atlas-checkpoint"),
    Case("atlas", CHECKPOINT, ATLAS_DDL, atlas("20240101") + atlas("20240102"), atlas("20240104"), atlas("20240105"),
         label="atlas-before-checkpoint"),
    Case("flyway", ["sql/V1__a.sql", "sql/V1_1__b.sql"], FLYWAY_DDL.format("flyway_schema_history"), flyway(1, "1", "V1__a.sql"),
         flyway(2, "1.1", "V1_1__b.sql"), flyway(3, "2", "V2__c.sql"), flyway(2, "1.1", "V1_1__b.sql", success="false"), "flyway repair"),
    Case("flyway", ["sql/V1__a.sql", "sql/V2__b.sql", "sql/V3__c.sql", ("sql/v/R__view.sql", "SELECT 1;\n")],
         "CREATE SCHEMA own;" + FLYWAY_DDL.format("own.ran"),
         flyway(0, None, "own", "SCHEMA", "NULL", table="own.ran") + flyway(1, "2", "<< Flyway Baseline >>", "BASELINE", "NULL", table="own.ran")
         + flyway(2, None, "v/R__view.sql", checksum="5", table="own.ran"),
         flyway(3, "3", "V3__c.sql", table="own.ran") + flyway(4, None, "v/R__view.sql", checksum="78787420", table="own.ran"),
         flyway(5, "4", "V4__d.sql", table="own.ran"), label="flyway-baseline", env={"FLYWAY_TABLE": "ran", "FLYWAY_DEFAULT_SCHEMA": "own"}),
    simple("rails", ["db/migrate/20240101000000_a.rb", "db/migrate/20240102000000_b.rb"],
           "CREATE TABLE schema_migrations (version varchar PRIMARY KEY); CREATE TABLE ar_internal_metadata (key varchar PRIMARY KEY);",
           "schema_migrations", ["20240101000000", "20240102000000", "20240103000000"]),
    Case("alembic", [("alembic/versions/1_a.py", SCRIPT.format("a1", "None")), ("alembic/versions/2_b.py", SCRIPT.format("b2", "'a1'"))],
         "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);", rows("alembic_version", "'a1'"),
         "UPDATE alembic_version SET version_num = 'b2';", "UPDATE alembic_version SET version_num = 'c3';"),
    Case("alembic", [("db/versions/1_a.py", SCRIPT.format("a1", "None")), ("db/versions/2_b.py", SCRIPT.format("b2", "'a1'")),
                     ("alembic.ini", "[alembic]\nscript_location = %(here)s/db\n"),
                     ("db/env.py", "context.configure(version_table='ran', version_table_schema=\"own\")\n")],
         "CREATE SCHEMA own; CREATE TABLE own.ran (version_num varchar(32) PRIMARY KEY);", rows("own.ran", "'a1'"),
         "UPDATE own.ran SET version_num = 'b2';", "UPDATE own.ran SET version_num = 'c3';", label="alembic-configured"),
    Case("flask", [("migrations/versions/1_a.py", SCRIPT.format("a1", "None")), ("migrations/versions/2_b.py", SCRIPT.format("b2", "'a1'")),
                   ("migrations/alembic.ini", "[alembic]\n"), ("migrations/env.py", "context.configure(version_table='ran')\n")],
         "CREATE TABLE ran (version_num varchar(32) PRIMARY KEY);", rows("ran", "'a1'"),
         "UPDATE ran SET version_num = 'b2';", "UPDATE ran SET version_num = 'c3';"),
    Case("alembic", [("db/versions/1_a.py", SCRIPT.format("a1", "None")), ("shop/versions/2_b.py", SCRIPT.format("b2", "'a1'")),
                     ("alembic.ini", "[alembic]\nscript_location = db\nversion_locations = db/versions shop/versions\n"),
                     ("db/env.py", "context.configure(version_table='ran')\n")],
         "CREATE TABLE ran (version_num varchar(32) PRIMARY KEY);", rows("ran", "'a1'"),
         "UPDATE ran SET version_num = 'b2';", "UPDATE ran SET version_num = 'c3';", label="alembic-several"),
    Case("alembic", [("alembic/versions/1.py", SCRIPT.format("a1", "None")), ("alembic/versions/2.py", SCRIPT.format("b1", "None")),
                     ("alembic/versions/3.py", SCRIPT.format("a2", "'a1'") + "depends_on = ('b1',)\n")],
         "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);", rows("alembic_version", "'a1'", "'b1'"),
         "DELETE FROM alembic_version;" + rows("alembic_version", "'a2'"), rows("alembic_version", "'c3'"), label="alembic-depends"),
    simple("sqlx", ["migrations/1_a.sql", "migrations/2_b.up.sql", "migrations/2_b.down.sql"],
           "CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY, description text NOT NULL, installed_on timestamptz NOT NULL DEFAULT now(), "
           "success boolean NOT NULL, checksum bytea NOT NULL, execution_time bigint NOT NULL);", "_sqlx_migrations", ["1", "2", "3"],
           "{}, 'd', now(), true, '', 1", failed=rows("_sqlx_migrations", "2, 'd', now(), false, '', 1"), remedy="DELETE FROM _sqlx_migrations WHERE version = 2"),
    simple("diesel", ["migrations/2024-01-01-000000_a/up.sql", "migrations/2024-01-02-000000_b/up.sql"],
           "CREATE TABLE __diesel_schema_migrations (version varchar(50) PRIMARY KEY, run_on timestamp NOT NULL DEFAULT now());",
           "__diesel_schema_migrations", ["20240101000000", "20240102000000", "20240103000000"]),
    simple("refinery", ["migrations/V1__a.sql", "migrations/V2__b.rs"],
           "CREATE TABLE refinery_schema_history (version int4 PRIMARY KEY, name varchar(255), applied_on varchar(255), checksum varchar(255));",
           "refinery_schema_history", ["1", "2", "3"], "{}"),
    simple("ecto", ["priv/repo/migrations/20240101_a.exs", "priv/repo/migrations/20240102_b.exs"],
           "CREATE TABLE schema_migrations (version bigint PRIMARY KEY, inserted_at timestamp(0));", "schema_migrations",
           ["20240101", "20240102", "20240103"], "{}, now()"),
    simple("laravel", ["database/migrations/2024_01_01_000000_a.php", "database/migrations/2024_01_02_000000_b.php"],
           "CREATE TABLE migrations (id serial PRIMARY KEY, migration varchar(255) NOT NULL, batch int NOT NULL);", "migrations (migration, batch)",
           ["2024_01_01_000000_a", "2024_01_02_000000_b", "2024_01_03_000000_c"], "'{}', 1"),
    simple("doctrine", ["migrations/Version20240101.php", "migrations/Version20240102.php"],
           "CREATE TABLE doctrine_migration_versions (version varchar(191) PRIMARY KEY, executed_at timestamp(0), execution_time int);",
           "doctrine_migration_versions", ["20240101", "20240102", "20240103"], r"'DoctrineMigrations\Version{}'"),
    simple("phinx", ["db/migrations/20240101000000_a.php", "db/migrations/20240102000000_b.php"],
           "CREATE TABLE phinxlog (version bigint PRIMARY KEY, migration_name varchar(100), start_time timestamp, end_time timestamp, breakpoint "
           "boolean NOT NULL DEFAULT false);", "phinxlog", ["20240101000000", "20240102000000", "20240103000000"], "{}, 'x', now(), now()"),
    Case("sqitch", [("sqitch.plan", PLAN)], SQITCH_DDL, sqitch("x1", "users", 1) + sqitch("y1", "users", 1, "another") + sqitch("y2", "users", 2, "another"),
         sqitch("x2", "users", 3), sqitch("x3", "later", 4)),
    simple("yoyo", ["migrations/0001.a.py", "migrations/0002.b.sql", "migrations/0002.b.rollback.sql"],
           "CREATE TABLE _yoyo_migration (migration_hash varchar(64) PRIMARY KEY, migration_id varchar(255), applied_at_utc timestamp);"
           "CREATE TABLE yoyo_lock (locked int DEFAULT 1 PRIMARY KEY, ctime timestamp, pid int NOT NULL);", "_yoyo_migration",
           ["0001.a", "0002.b", "0003.c"], "'{0}', '{0}', now()", failed=rows("yoyo_lock", "1, now(), 4711"), remedy="yoyo break-lock"),
]

# Tables of one name, and whose they are not.
FOREIGN = [("schema_migrations", ["dbmate", "rails", "golang-migrate", "ecto"]), ("migrations", ["typeorm", "laravel", "db-migrate"])]
ALIKE = {("dbmate", "rails"), ("rails", "dbmate")}  # a version and nothing more, in both
