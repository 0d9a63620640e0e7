"""Database URLs in the dialects of the apps' languages, against a real server: each row that connects does, as the right user to
the right database, with the right search path, and with TLS where it says so. Issue 5, point 5; research/tools.md section 4."""

import os
import secrets
import shutil
from urllib.parse import quote

import pytest
from psycopg2 import sql

from harness.postgres import PSQL, Cluster, Database
from harness.secrecy import HEAD, TAIL, leaks
from harness.verdict import assert_says, error_of
from pidns import BIN, LONG, base_env

import subprocess

USER, DATABASE, SCHEMA = "Ann O'Neil@x", 'Shop "1/2" 50%', 'My "Sché,ma\\'
RAW = HEAD + "#@:+%" + TAIL  # what may stand in a URL as it is
PASSWORD = HEAD + "#@:/?%+;&=\"'\\ é" + TAIL
OWN_PATH = '"$user", public'
QUOTED = '"' + SCHEMA.replace('"', '""') + '"'

# What the server sees of the session that marks a run, written down by the server itself.
WATCH = """
CREATE TABLE public.seen (target text, usr text, db text, path text, app text, tls boolean, zone text, encoding text);
CREATE FUNCTION public.see() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO public.seen SELECT NEW.target, session_user, current_database(), current_setting('search_path'),
    current_setting('application_name'), (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), current_setting('TimeZone'),
    current_setting('client_encoding');
  RETURN NEW; END $$;
CREATE TRIGGER see BEFORE INSERT ON lockstep.run FOR EACH ROW EXECUTE FUNCTION public.see();
"""


def password_of(user):
    return RAW if user == "raw" else PASSWORD


@pytest.fixture(scope="module")
def server(root, certs):
    """A PostgreSQL that can do TLS, and no more than that."""
    key = root / f"dialects-{secrets.token_hex(4)}.key"
    shutil.copy(certs.right.key, key)
    shutil.chown(key, "postgres", "postgres")
    key.chmod(0o600)
    cluster = Cluster.create(root, ssl="on", ssl_cert_file=certs.right.cert, ssl_key_file=key, TimeZone="Etc/UTC",
                             unix_socket_directories="/tmp")
    with open(cluster.data / "pg_hba.conf", "w") as hba:
        hba.write("local all all scram-sha-256\nhost all all all scram-sha-256\n")
    try:
        yield cluster.start()
    finally:
        cluster.stop("immediate")


@pytest.fixture(scope="module")
def shop(server):
    """The database, which has the record tables and whoever may write them."""
    server.query(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    shop = Database(server, DATABASE)
    ddl = subprocess.run([BIN, "schema"], env=base_env(), capture_output=True, text=True, timeout=LONG, check=True).stdout
    shop.query(ddl)
    shop.query(WATCH)
    for user in (USER, "raw"):
        name = sql.Identifier(user)
        shop.query(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(password_of(user))))
        shop.query(sql.SQL("GRANT USAGE ON SCHEMA lockstep TO {0}; GRANT ALL ON ALL TABLES IN SCHEMA lockstep TO {0}").format(name))
    return shop


@pytest.fixture
def see(new_stage, shop, certs):
    """see(text, env): lets lockstep migrate and returns the row that the server has written down."""
    stage = new_stage()

    def see(text=None, env=None, **fields):
        target = f"v{secrets.token_hex(5)}"
        given = {name: fill(value, shop.cluster, certs) for name, value in (env or {}).items()}
        replica = stage.start(url=text and fill(text, shop.cluster, certs), verb="migrate", target=target, migrate="true",
                              env={"LOCKSTEP_NAME": target, **given})
        replica.expect_exit(0)
        assert not leaks(replica.log, replica.stdout)
        [seen] = shop.query("SELECT * FROM seen WHERE target = %s", target)
        expected = {"usr": USER, "db": DATABASE, "path": OWN_PATH, "tls": True, "app": f"lockstep:{target}", "zone": "Etc/UTC", "encoding": "UTF8",
                    **fields}
        assert {key: seen[key] for key in expected} == expected
        return replica
    return see


def keyword(value):
    return '"' + value.replace('"', '""') + '"'


def fill(text, server, certs):
    """{u} {pw} {d} {s} percent-encoded; {U} {PW} {D} as they are; {ku} {kpw} {kd} {ks} in .NET's quotes; @H is host and port."""
    values = {"{u}": quote(USER, safe=""), "{pw}": quote(PASSWORD, safe=""), "{d}": quote(DATABASE, safe=""),
              "{s}": quote(SCHEMA, safe=""), "{q}": quote(QUOTED, safe=""), "{raw}": RAW, "{U}": USER, "{PW}": PASSWORD,
              "{D}": DATABASE, "{ku}": keyword(USER), "{kpw}": keyword(PASSWORD), "{kd}": keyword(DATABASE),
              "{kq}": keyword(QUOTED), "{port}": str(server.port), "{ca}": str(certs.ca)}
    for name, value in values.items():
        text = text.replace(name, value)
    return text


URL = "postgres://{u}:{pw}@localhost:{port}/{d}"
JDBC = "jdbc:postgresql://localhost:{port}/{d}?user={u}&password={pw}"
NPGSQL = "Host=localhost;Port={port};Database={kd};Username={ku};Password={kpw}"
CLEAR, PATH, FOLDED = {"tls": False}, {"path": QUOTED}, {"path": "My, public"}

CONNECTS = {
    "plain": (URL, {}),
    # Prisma
    "schema": (URL + "?schema={s}", PATH),
    "Prisma's own": (URL + "?connection_limit=1&pool_timeout=0&socket_timeout=3&statement_cache_size=0&sslaccept=accept_invalid_certs&"
                     "sslidentity=x.p12&max_connection_lifetime=1&max_idle_connection_lifetime=1", {}),
    "pgbouncer": (URL + "?pgbouncer=true", {}),
    "Prisma's sslcert": (URL + "?sslmode=require&schema={s}&sslcert={ca}", PATH),
    "Prisma, strict": (URL + "?sslmode=require&sslaccept=strict&sslcert={ca}", {}),
    "Prisma, strict, ssl=true": (URL + "?ssl=true&sslaccept=strict&sslcert={ca}", {}),
    "sslcert without a key": (URL + "?sslmode=require&sslcert={ca}", {}),
    # TLS
    "ssl=true": (URL + "?ssl=true", {}), "ssl=TRUE": (URL + "?ssl=TRUE", {}), "ssl=1": (URL + "?ssl=1", {}),
    "ssl=require": (URL + "?ssl=require", {}), "ssl=false": (URL + "?ssl=false", CLEAR), "ssl=0": (URL + "?ssl=0", CLEAR),
    "ssl=verify-full": (URL + "?ssl=verify-full&sslrootcert={ca}", {}),
    "sslmode=no-verify": (URL + "?sslmode=no-verify", {}), "sslmode=REQUIRE": (URL + "?sslmode=REQUIRE", {}),
    "sslmode=DISABLE": (URL + "?SSLMODE=DISABLE", CLEAR),
    "uselibpqcompat": (URL + "?uselibpqcompat=true&sslmode=require", {}),
    "sslnegotiation": (URL + "?sslnegotiation=postgres&sslmode=require", {}),
    # schemes
    **{scheme: (URL.replace("postgres:", f"{scheme}:"), {}) for scheme in (
        "postgresql", "POSTGRESQL", "postgresql+psycopg2", "postgresql+psycopg", "postgresql+asyncpg", "postgresql+pg8000", "ecto", "pgsql",
        "pdo-pgsql", "psql", "postgis", "pgx", "pgx5", "cockroachdb", "timescale")},
    # JDBC and Npgsql
    "JDBC": (JDBC, {}),
    "JDBC's parameters": (JDBC + "&currentSchema={q}&prepareThreshold=0&reWriteBatchedInserts=true&stringtype=unspecified&"
                          "socketTimeout=9&loginTimeout=9&tcpKeepAlive=true&loggerLevel=OFF&sslfactory=x&targetServerType=primary", PATH),
    "JDBC, ApplicationName": (JDBC + "&ApplicationName=my%20shop&sslMode=disable", {"app": "my shop", **CLEAR}),
    "JDBC, words": (JDBC + "&gssEncMode=allow&channelBinding=prefer&loadBalanceHosts=true", {}),
    "Npgsql": (NPGSQL, {}),
    "Npgsql, words": (NPGSQL + ";Channel Binding=Prefer;SSL Negotiation=Postgres;Require Auth=ScramSHA256;MaxPoolSize=9", {}),
    "Npgsql, a host's own port": (NPGSQL.replace("Host=localhost;Port={port}", "Host=localhost:{port};Port=1"), {}),
    "Npgsql, a list": (NPGSQL.replace("Host=localhost;Port={port}", "Port=1;Host=::1,127.0.0.1:{port}"), {}),
    "Npgsql's parameters": (NPGSQL + ";SSL Mode=VerifyFull;Root Certificate={ca};Search Path={kq};Timeout=9;Pooling=true;"
                            "Trust Server Certificate=false", PATH),
    "Npgsql, old names": ("server=localhost;port={port};db={kd};user id={ku};pwd={kpw};sslmode=Disable", CLEAR),
    # Go
    "x-*": (URL + "?x-migrations-table=m&x-multi-statement=true", {}),
    "pgx": (URL + "?pool_max_conns=9&pool_min_conns=1&pool_max_conn_lifetime=1h&default_query_exec_mode=exec&statement_cache_capacity=1", {}),
    "search_path": (URL + "?search_path=My,%20public", FOLDED),
    "search_path, quoted": (URL + "?search_path={q}", PATH),
    "TimeZone": (URL + "?TimeZone=Europe/Rome", {"zone": "Europe/Rome"}),
    "timeouts are not for us": (URL + "?statement_timeout=1&lock_timeout=1", {}),
    "lib/pq": (URL + "?binary_parameters=yes&disable_prepared_binary_result=no", {}),
    "dbmate's socket": ("postgres://{u}:{pw}@:{port}/{d}?socket=/tmp", {"tls": False}),
    # Rust
    "sqlx": (URL + "?ssl-mode=verify-full&ssl-root-cert={ca}&statement-cache-capacity=1&options[search_path]=My,%20public", FOLDED),
    "sqlx, ssl-ca": (URL + "?ssl-mode=verify-ca&ssl-ca={ca}", {}),
    # Ruby, Elixir, PHP, Python
    "Rails": (URL + "?pool=5&timeout=5000&encoding=unicode&prepared_statements=false&advisory_locks=false&schema_search_path=My,%20public", FOLDED),
    "Ecto": (URL.replace("postgres:", "ecto:") + "?pool_size=9&ssl=true", {}),
    "SQLAlchemy's host": ("postgresql+psycopg2://{u}:{pw}@/{d}?host=127.0.0.1:{port}", {}),
    "SQLAlchemy's hosts": ("postgresql+psycopg2://{u}:{pw}@/{d}?host=127.0.0.1:{port}&host=127.0.0.1:1", {}),
    "... the other way round": ("postgresql+psycopg2://{u}:{pw}@/{d}?host=127.0.0.1:1&host=127.0.0.1:{port}", {}),
    "encodings are not for us": (URL + "?client_encoding=latin1", {}),
    "Doctrine": (URL + "?serverVersion=16&charset=utf8", {}),
    "currentSchema": (URL + "?currentSchema={q}", PATH),
    # how they are written
    "raw # @ : + % in the password": ("postgres://raw:{raw}@localhost:{port}/{d}", {"usr": "raw"}),
    "?&": (URL + "?&application_name=b&", {"app": "b"}), "trailing ?": (URL + "?", {}),
    "quotes": (f'"{URL}"', {}), "single quotes, white space": (f" '{URL}?sslmode=disable'\n", CLEAR),
    # libpq's own
    "options": (URL + "?options=-csearch_path%3Dfoo", {"path": "foo"}),
    "options and schema": (URL + "?options=-cTimeZone%3DEurope/Rome&schema={s}", {"zone": "Europe/Rome", **PATH}),
    "passed through": (URL + "?channel_binding=prefer&target_session_attrs=read-write&client_encoding=UTF8&application_name=a%20b", {"app": "a b"}),
    "host and dbname": ("postgres://{u}:{pw}@/?host=localhost&port={port}&dbname={d}", {}),
    "nobody's": (URL + "?nonsense=1", {}),
}


@pytest.mark.parametrize("row", CONNECTS)
def test_connects(row, see):
    text, fields = CONNECTS[row]
    see(text, **fields)


def test_what_is_dropped_is_said_at_debug(see):
    replica = see(URL + "?schema={s}&connection_limit=1&nonsense=2", **PATH)
    [said] = [e for e in replica.events if "left out" in e["message"]]
    assert said["level"] == "debug" and said["message"].endswith("DATABASE_URL: not for lockstep, and left out: connection_limit, nonsense")


@pytest.mark.parametrize("text", [URL + "?sslmode=require&sslaccept=strict&sslcert={other}",
                                  URL + "?ssl=true&sslaccept=strict&sslcert={other}", URL + "?ssl=verify-full&sslrootcert={other}",
                                  NPGSQL + ";SSL Mode=VerifyFull;Root Certificate={other}"], ids=["prisma", "prisma, ssl", "ssl", "npgsql"])
def test_verification_is_kept(text, new_stage, shop, certs):
    """What asks for the server to be verified, in whatever words, refuses one that another authority has signed."""
    url = fill(text, shop.cluster, certs).replace("{other}", str(certs.other_ca))
    replica = new_stage().start(url=url, verb="check")
    assert_says(error_of(replica), "verif")
    assert not leaks(replica.log)


# --- variables ----------------------------------------------------------------------------------------------------

DB = {"DB_HOST": "localhost", "DB_PORT": "{port}", "DB_USERNAME": "{U}", "DB_PASSWORD": "{PW}"}
POSTGRES = {"POSTGRES_HOST": "localhost", "POSTGRES_PORT": "{port}", "POSTGRES_DB": "{D}", "POSTGRES_USER": "{U}", "POSTGRES_PASSWORD": "{PW}"}
PG = {"PGHOST": "localhost", "PGPORT": "{port}", "PGDATABASE": "{D}", "PGUSER": "{U}", "PGPASSWORD": "{PW}"}
JAVA = "jdbc:postgresql://localhost:{port}/{d}"

VARIABLES = {
    "PGHOST": (PG, {}),
    "PGHOST, PGSSLMODE, PGOPTIONS": ({**PG, "PGSSLMODE": "disable", "PGOPTIONS": "-c search_path=foo"}, {"path": "foo", **CLEAR}),
    "PGHOST and PGHOSTADDR": ({**PG, "PGHOST": "db.nosuch.invalid", "PGHOSTADDR": "127.0.0.1"}, {}),
    "PGHOST and PGCLIENTENCODING": ({**PG, "PGCLIENTENCODING": "latin1"}, {}),
    "PGDATABASE": ({**PG, "PGHOST": "/tmp"}, CLEAR),
    "SPRING_DATASOURCE_URL": ({"SPRING_DATASOURCE_URL": JAVA, "SPRING_DATASOURCE_USERNAME": "{U}", "SPRING_DATASOURCE_PASSWORD": "{PW}"}, {}),
    "FLYWAY_URL": ({"FLYWAY_URL": JAVA + "?currentSchema={q}", "FLYWAY_USER": "{U}", "FLYWAY_PASSWORD": "{PW}"}, PATH),
    "LIQUIBASE_COMMAND_URL": ({"LIQUIBASE_COMMAND_URL": JAVA, "LIQUIBASE_COMMAND_USERNAME": "{U}", "LIQUIBASE_COMMAND_PASSWORD": "{PW}"}, {}),
    "ConnectionStrings__DefaultConnection": ({"ConnectionStrings__DefaultConnection": NPGSQL}, {}),
    "DB_URL": ({"DB_URL": URL.replace("postgres:", "pgsql:") + "?sslmode=disable"}, CLEAR),
    "DB_URL and DB_USER": ({"DB_URL": JAVA, "DB_USER": "{U}", "DB_PASSWORD": "{PW}"}, {}),
    "DB_CONNECTION": ({**DB, "DB_CONNECTION": "pgsql", "DB_DATABASE": "{D}", "DB_SSLMODE": "disable"}, CLEAR),
    "DB_HOST": ({"DB_HOST": "localhost", "DB_PORT": "{port}", "DB_NAME": "{D}", "DB_USER": "{U}", "DB_PASS": "{PW}"}, {}),
    "POSTGRES_HOST": (POSTGRES, {}),
}


@pytest.mark.parametrize("row", VARIABLES)
def test_variables(row, see):
    env, fields = VARIABLES[row]
    replica = see(env=env, **fields)
    name = row.split(",")[0].split(" ")[0]
    expected = "DB_HOST" if name == "DB_CONNECTION" else "PGHOST" if name == "PGDATABASE" else name
    said = [e for e in replica.events if f"the database is the one that {expected} names" in e["message"]]
    assert [e["level"] for e in said] == ["info"], replica.story()


TOLD = {"LOCKSTEP_DATABASE": (URL, {}), **VARIABLES}


@pytest.mark.parametrize("row", TOLD)
def test_a_tool_that_reads_database_url(row, new_stage, shop, certs, tmp_path):
    """A preset's command that says $DATABASE_URL has one, whatever named the database; psql stands for the tool."""
    env, fields = TOLD[row] if isinstance(TOLD[row][0], dict) else ({row: TOLD[row][0]}, TOLD[row][1])
    (tmp_path / "1_a.up.sql").touch()
    program = tmp_path / "migrate"
    program.write_text(f"""#!/bin/sh
exec {PSQL} -XqAt "$4" -c "SELECT 'seen:', session_user, current_database(), current_setting('search_path')"\n""")
    program.chmod(0o755)
    replica = new_stage().start(verb="migrate", target=None, env={
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "LOCKSTEP_TOOL": "golang-migrate", "LOCKSTEP_MIGRATE": None, "LOCKSTEP_LOCK": f"file:{tmp_path}",
        "LOCKSTEP_MIGRATIONS": str(tmp_path), **{name: fill(value, shop.cluster, certs) for name, value in env.items()}})
    replica.expect_exit(0)
    assert not leaks(replica.log, replica.stdout)
    assert replica.saw("output", line=f"seen:|{USER}|{DATABASE}|{fields.get('path', OWN_PATH)}"), replica.story()


@pytest.mark.parametrize("name, env", [("POSTGRES_PASSWORD", POSTGRES), ("DB_PASSWORD", {**DB, "DB_CONNECTION": "pgsql", "DB_NAME": "{D}"})])
def test_password_from_a_file(name, env, see, tmp_path):
    (tmp_path / "password").write_text(PASSWORD + "\n")
    see(env={**{k: v for k, v in env.items() if k != name}, f"{name}_FILE": str(tmp_path / "password")})


def test_a_named_file_lock_stays(new_stage, folder, shop):
    """An app that has PGHOST, but meets elsewhere by --lock, keeps doing so: nobody connects."""
    stage = new_stage()
    stage.start("--lock", f"file:{folder}", verb="migrate", migrate="true", env={"PGHOST": "no-such-host.invalid"}).expect_exit(0)


@pytest.mark.parametrize("url", ["mysql+pymysql://h/d", '"mysql://h/d"', "jdbc:mariadb://h/d", "sqlite+aiosqlite:///d"])
def test_another_database_beside_a_named_lock(url, new_stage, folder):
    new_stage().start("--lock", f"file:{folder}", "--database", url, verb="migrate", migrate="true").expect_exit(0)


def test_a_named_redis_lock_keeps_its_records(new_stage, redis_gate):
    replica = new_stage(redis_gate).start(verb="migrate", env={"PGHOST": "no-such-host.invalid"})
    replica.expect_exit(0)
    assert redis_gate.runs()


# --- direct URLs and poolers --------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["DIRECT_URL", "DIRECT_DATABASE_URL", "MIGRATION_DATABASE_URL"])
def test_direct_url_is_preferred(name, stage, bouncer):
    pool = bouncer(stage.database, "transaction")
    replica = stage.start(url=pool.url(stage.database), env={name: stage.database.url()})
    replica.expect_exit(0)
    assert replica.saw("connected") and not replica.saw("connected", pooled=True)
    [said] = [e for e in replica.events if f"meeting at {name}" in e["message"]]
    assert said["level"] == "info" and "DATABASE_URL" in said["message"]
    assert not replica.said("poll instead")


def test_direct_and_pooled_replicas_are_one_gate(stage, bouncer):
    """Images before and after DIRECT_URL was set: the same lock."""
    pool = bouncer(stage.database, "transaction")
    leader = stage.leader(url=pool.url(stage.database), env={"DIRECT_URL": stage.database.url()})
    waiter = stage.waiter(url=pool.url(stage.database) + "?pgbouncer=true")
    stage.release()
    stage.expect_all_started([leader, waiter])
    stage.journal.assert_applied_once()


def test_prisma_accelerate_beside_a_direct_url(stage):
    replica = stage.start(url="prisma://accelerate.example/?api_key=x", env={"DIRECT_URL": stage.database.url()})
    replica.expect_exit(0)
    assert stage.database.states() == ["succeeded"]


def test_direct_url_of_another_kind(stage):
    replica = stage.start(env={"DIRECT_URL": "https://example.org"})
    replica.expect_exit(0)
    assert [e["level"] for e in replica.events if "DIRECT_URL names no Postgres" in e["message"]] == ["debug"]


@pytest.mark.parametrize("query", ["?pgbouncer=true", "?pgbouncer=true&schema=public", "?schema=public", "?search_path=a&TimeZone=UTC"])
def test_pooler_that_refuses_settings(query, stage, bouncer):
    """PgBouncer takes no search path. It is left out, whether or not the URL says that there is a pooler."""
    pool = bouncer(stage.database, "transaction")
    replica = stage.start(url=pool.url(stage.database) + query)
    replica.expect_exit(0)
    assert replica.saw("connected", pooled=True)
    assert len([e for e in replica.events if "poll instead" in e["message"]]) == ("pgbouncer" in query)
    assert not replica.saw("unavailable")


# --- errors -------------------------------------------------------------------------------------------------------

P = HEAD + "{}" + TAIL
KNOWN = ("postgres://", "ecto", "jdbc:postgresql", "Host=")
ERRORS = {
    "unknown scheme": ("postgre://a:" + P + "@h/d", KNOWN),
    "unknown scheme with a driver": ("mysqlx+pymysql://a:" + P + "@h/d", KNOWN),
    "prisma": ("prisma://accelerate.example/?api_key=" + P, ("Accelerate", "DIRECT_URL")),
    "prisma+postgres": ("prisma+postgres://localhost:51213/?api_key=" + P, ("Accelerate", "DIRECT_URL")),
    "JDBC of another": ("jdbc:nonsense://h/d?user=a&password=" + P, KNOWN),
    "SQL Server": ("Server=tcp:h,1433;Initial Catalog=d;User ID=a;Password=" + P, KNOWN),
    "conninfo": ("host=h dbname=d user=a password=" + P, KNOWN),
    "raw /": ("postgres://a:" + P.format("/") + "@h/d", ("%2F",)),
    "raw ?": ("postgres://a:" + P.format("?") + "@h/d", ("%3F",)),
    "raw ? and &": ("postgres://a:1?" + HEAD + "=b&" + TAIL + "=c@h/d", ("%3F",)),
    "raw & in a parameter": ("jdbc:postgresql://h/d?user=a&password=" + HEAD + "&" + TAIL + "=1", ("%26",)),
    "raw ; in a keyword": ("Host=h;Password=" + HEAD + ";" + TAIL + "=1", ("quotes",)),
    "open quote": ("Host=h;Password=\"" + P, ("quote",)),
    "sslmode": ("postgres://a:" + P + "@h/d?sslmode=maybe", ("verify-full",)),
    "ssl": ("postgres://a:" + P + "@h/d?ssl=maybe", ("true, false",)),
    "channel_binding": ("postgres://a:" + P + "@h/d?channel_binding=foo", ("channel_binding", "disable, prefer, require")),
    "target_session_attrs": ("postgres://a:" + P + "@h/d?target_session_attrs=foo", ("target_session_attrs", "read-write")),
    "require_auth": ("postgres://a:" + P + "@h/d?require_auth=foo", ("require_auth", "scram-sha-256")),
    "port": ("postgres://a:" + P + "@h/d?port=abc", ("port", "65535")),
    "keepalives_idle": ("postgres://a:" + P + "@h/d?keepalives_idle=x", ("keepalives_idle", "number")),
    "no value": ("postgres://a:" + P + "@h/d?sslmode", ("without a value",)),
    "%00": ("postgres://a:" + P.format("%00") + "@h/d", ("%00",)),
}


@pytest.mark.parametrize("row", ERRORS)
def test_errors(row, new_stage):
    text, words = ERRORS[row]
    replica = new_stage().start(url=text.replace("{}", ""), verb="check")
    message = error_of(replica, 64)
    assert_says(message, "DATABASE_URL", *words)
    assert not leaks(replica.log)


SECRET_DB, SECRET_PG = {"DB_HOST": "h", "DB_PASSWORD": P.format("")}, {"PGHOST": "h", "PGPASSWORD": P.format("")}
WRONG_VARIABLES = {
    "SPRING_DATASOURCE_URL": ({"SPRING_DATASOURCE_URL": "jdbc:postgresql://h:x/d?password=" + P.format("")}, "port"),
    "DB_PORT": ({**SECRET_DB, "DB_PORT": "abc"}, "65535"),
    "DB_SSLMODE": ({**SECRET_DB, "DB_SSLMODE": "foo"}, "verify-full"),
    "POSTGRES_PORT": ({"POSTGRES_HOST": "h", "POSTGRES_PORT": "5432/tcp"}, "65535"),
    "PGPORT": ({**SECRET_PG, "PGPORT": "abc"}, "65535"),
    "PGSSLMODE": ({**SECRET_PG, "PGSSLMODE": "no-verify"}, "verify-full"),
    "PGCHANNELBINDING": ({**SECRET_PG, "PGCHANNELBINDING": "foo"}, "disable, prefer, require"),
    "PGCONNECT_TIMEOUT": ({**SECRET_PG, "PGCONNECT_TIMEOUT": "foo"}, "whole number"),
}


@pytest.mark.parametrize("name", WRONG_VARIABLES)
def test_error_names_the_variable(name, new_stage):
    env, word = WRONG_VARIABLES[name]
    replica = new_stage().start(verb="migrate", migrate="true", env=env)
    message = error_of(replica, 64)
    assert_says(message, name, word)
    assert "DB_HOST" not in message
    assert not leaks(replica.log)


def test_example_of_an_open_quote_is_not_masked(new_stage):
    replica = new_stage().start(url="Host=h;Password=\"" + P.format(""), verb="check")
    assert_says(error_of(replica, 64), 'Key="a;b""c"')
