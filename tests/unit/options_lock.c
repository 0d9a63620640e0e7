/* Which database and which lock (DESIGN section 1). */
#include "options_kit.h"
#include "unit.h"

#include <string.h>

static const struct {
    const char *row;
    struct given given;
    const char *lock, *what; /* NULL: the embedded place */
} places[] = {
    {"--lock", {{CHECK_VERB, "--lock=file:/x"}, {"DATABASE_URL=postgres://h/d"}}, "file:/x", "--lock"},
    {"LOCKSTEP_LOCK", {{CHECK_VERB}, {"LOCKSTEP_LOCK=file:/x"}}, "file:/x", "LOCKSTEP_LOCK"},
    {"flag over variable", {{CHECK_VERB, "--lock=file:/y"}, {"LOCKSTEP_LOCK=file:/x"}}, "file:/y", "--lock"},
    {"--database", {{CHECK_VERB, "--database=postgres://h/d"}, {NULL}}, "postgres://h/d", "--database"},
    {"LOCKSTEP_DATABASE",
     {{CHECK_VERB}, {"LOCKSTEP_DATABASE=postgresql://h/d"}},
     "postgresql://h/d",
     "LOCKSTEP_DATABASE"},
    {"DATABASE_URL", {{CHECK_VERB}, {"DATABASE_URL=postgres://h/d"}}, "postgres://h/d", "DATABASE_URL"},
    {"LOCKSTEP_DATABASE over DATABASE_URL",
     {{CHECK_VERB}, {"LOCKSTEP_DATABASE=postgres://a/d", "DATABASE_URL=postgres://b/d"}},
     "postgres://a/d",
     "LOCKSTEP_DATABASE"},
    {"--database over both",
     {{CHECK_VERB, "--database=postgres://c/d"}, {"LOCKSTEP_DATABASE=postgres://a/d", "DATABASE_URL=postgres://b/d"}},
     "postgres://c/d",
     "--database"},
    {"empty LOCKSTEP_LOCK",
     {{CHECK_VERB}, {"LOCKSTEP_LOCK=", "DATABASE_URL=postgres://h/d"}},
     "postgres://h/d",
     "DATABASE_URL"},
    {"nothing", {{CHECK_VERB}, {NULL}}, NULL, NULL},
    {"empty DATABASE_URL", {{CHECK_VERB}, {"DATABASE_URL="}}, NULL, NULL},
    {"mysql", {{CHECK_VERB}, {"DATABASE_URL=mysql://h/d"}}, NULL, NULL},
    {"mongodb+srv", {{CHECK_VERB}, {"DATABASE_URL=mongodb+srv://h/d"}}, NULL, NULL},
    {"sqlite", {{CHECK_VERB}, {"DATABASE_URL=sqlite:app.db"}}, NULL, NULL},
    {"sqlite3, a file", {{CHECK_VERB}, {"DATABASE_URL=sqlite3:app.db"}}, NULL, NULL},
    {"SQLAlchemy's MySQL", {{CHECK_VERB}, {"DATABASE_URL=mysql+pymysql://h/d"}}, NULL, NULL},
    {"SQLAlchemy's MariaDB", {{CHECK_VERB}, {"DATABASE_URL=mariadb+pymysql://h/d"}}, NULL, NULL},
    {"SQLAlchemy's SQLite", {{CHECK_VERB}, {"DATABASE_URL=sqlite+aiosqlite:///app.db"}}, NULL, NULL},
    {"SQLAlchemy's SQL Server", {{CHECK_VERB}, {"DATABASE_URL=mssql+pyodbc://h/d"}}, NULL, NULL},
    {"trilogy", {{CHECK_VERB}, {"DATABASE_URL=trilogy://h/d"}}, NULL, NULL},
    {"JDBC's MySQL", {{CHECK_VERB}, {"DATABASE_URL=jdbc:mysql://h/d"}}, NULL, NULL},
    {"JDBC's MariaDB", {{CHECK_VERB}, {"DATABASE_URL=jdbc:mariadb:loadbalance://h,i/d"}}, NULL, NULL},
    {"JDBC's SQL Server", {{CHECK_VERB}, {"DATABASE_URL=jdbc:sqlserver://h;databaseName=d"}}, NULL, NULL},
    {"mysql in quotes", {{CHECK_VERB}, {"DATABASE_URL=\"mysql://h/d\""}}, NULL, NULL},
    {"mysql in quotes, beside Redis",
     {{NAMED}, {"DATABASE_URL='mysql://h/d'", "REDIS_URL=redis://h"}},
     "redis://h",
     "REDIS_URL"},
    {"Prisma's file", {{CHECK_VERB}, {"DATABASE_URL=file:./dev.db"}}, NULL, NULL},
    {"REDIS_URL", {{NAMED}, {"REDIS_URL=redis://h/1"}}, "redis://h/1", "REDIS_URL"},
    {"... of any kind", {{NAMED}, {"REDIS_URL=rediss+sentinel://h/m"}}, "rediss+sentinel://h/m", "REDIS_URL"},
    {"the database over REDIS_URL",
     {{NAMED}, {"DATABASE_URL=postgres://h/d", "REDIS_URL=redis://h"}},
     "postgres://h/d",
     "DATABASE_URL"},
    {"REDIS_URL beside another kind of database",
     {{NAMED}, {"DATABASE_URL=mysql://h/d", "REDIS_URL=redis://h"}},
     "redis://h",
     "REDIS_URL"},
    {"LOCKSTEP_LOCK over REDIS_URL",
     {{NAMED}, {"LOCKSTEP_LOCK=redis://a", "REDIS_URL=redis://b"}},
     "redis://a",
     "LOCKSTEP_LOCK"},
    {"--lock over both",
     {{NAMED, "--lock=unix:///s"}, {"LOCKSTEP_LOCK=redis://a", "REDIS_URL=redis://b"}},
     "unix:///s",
     "--lock"},
    {"Redis beside the database",
     {{NAMED, "--lock=redis://a"}, {"DATABASE_URL=postgres://h/d"}},
     "redis://a",
     "--lock"},
    {"empty REDIS_URL", {{CHECK_VERB}, {"REDIS_URL="}}, NULL, NULL},
    {"JDBC", {{CHECK_VERB}, {"DATABASE_URL=jdbc:postgresql:d"}}, "jdbc:postgresql:d", "DATABASE_URL"},
    {"a driver's scheme",
     {{CHECK_VERB, "--database=postgresql+psycopg2://h/d"}, {NULL}},
     "postgresql+psycopg2://h/d",
     "--database"},
    {"in quotes", {{CHECK_VERB}, {"DATABASE_URL='postgres://h'"}}, "'postgres://h'", "DATABASE_URL"},

    /* the app's other variables */
    {"PGHOST", {{CHECK_VERB}, {"PGHOST=h", "PGUSER=u"}}, "postgres://", "PGHOST"},
    {"PGSERVICE", {{CHECK_VERB}, {"PGSERVICE=s"}}, "postgres://", "PGSERVICE"},
    {"PGDATABASE", {{CHECK_VERB}, {"PGDATABASE=d"}}, "postgres://", "PGDATABASE"},
    {"who and how say nothing of where",
     {{CHECK_VERB}, {"PGUSER=u", "PGPASSWORD=p", "PGPORT=1", "DB_USER=u"}},
     NULL,
     NULL},
    {"what the image postgres has",
     {{CHECK_VERB}, {"POSTGRES_DB=d", "POSTGRES_USER=u", "POSTGRES_PASSWORD=p"}},
     NULL,
     NULL},
    {"DATABASE_URL over PGHOST",
     {{CHECK_VERB}, {"DATABASE_URL=postgres://h/d", "PGHOST=i"}},
     "postgres://h/d",
     "DATABASE_URL"},
    {"MySQL's DATABASE_URL over PGHOST", {{CHECK_VERB}, {"DATABASE_URL=mysql://h/d", "PGHOST=i"}}, NULL, NULL},
    {"PGHOST over REDIS_URL", {{NAMED}, {"PGHOST=h", "REDIS_URL=redis://h"}}, "postgres://", "PGHOST"},
    {"--lock over PGHOST", {{CHECK_VERB, "--lock=file:/x"}, {"PGHOST=h"}}, "file:/x", "--lock"},
    {"Spring",
     {{CHECK_VERB},
      {"SPRING_DATASOURCE_URL=jdbc:postgresql://h/d", "SPRING_DATASOURCE_USERNAME=a b",
       "SPRING_DATASOURCE_PASSWORD=p&+"}},
     "jdbc:postgresql://h/d?user=a%20b&password=p%26%2B",
     "SPRING_DATASOURCE_URL"},
    {"Spring's MySQL", {{CHECK_VERB}, {"SPRING_DATASOURCE_URL=jdbc:mysql://h/d"}}, NULL, NULL},
    {"Flyway, what the URL says itself",
     {{CHECK_VERB}, {"FLYWAY_URL=jdbc:postgresql://h/d?user=u", "FLYWAY_USER=v", "FLYWAY_PASSWORD=p"}},
     "jdbc:postgresql://h/d?user=u&password=p",
     "FLYWAY_URL"},
    {".NET",
     {{CHECK_VERB}, {"ConnectionStrings__DefaultConnection=Host=h;Database=d"}},
     "Host=h;Database=d",
     "ConnectionStrings__DefaultConnection"},
    {".NET with SQL Server", {{CHECK_VERB}, {"ConnectionStrings__DefaultConnection=Server=h;Database=d"}}, NULL, NULL},
    {"DB_URL", {{CHECK_VERB}, {"DB_URL=pgsql://h/d", "DB_USER=u"}}, "pgsql://h/d?user=u", "DB_URL"},
    {"DB_URL of .NET's form",
     {{CHECK_VERB}, {"DB_URL=Host=h:1", "DB_PASS=p\""}},
     "Host=h:1;Password=\"p\"\"\";",
     "DB_URL"},
    {"DB_HOST",
     {{CHECK_VERB}, {"DB_HOST=h", "DB_NAME=d", "DB_USER=u\"", "DB_PASS=p;", "DB_SSLMODE=require"}},
     "Host=\"h\";Database=\"d\";Username=\"u\"\"\";Password=\"p;\";SSL Mode=\"require\";",
     "DB_HOST"},
    {"DB_CONNECTION=pgsql",
     {{CHECK_VERB}, {"DB_CONNECTION=pgsql", "DB_HOST=h", "DB_PORT=6432", "DB_DATABASE=d"}},
     "Host=\"h\";Port=\"6432\";Database=\"d\";",
     "DB_HOST"},
    {"DB_CONNECTION=mysql", {{CHECK_VERB}, {"DB_CONNECTION=mysql", "DB_HOST=h", "DB_DATABASE=d"}}, NULL, NULL},
    {"MySQL's port", {{CHECK_VERB}, {"DB_HOST=h", "DB_PORT=3306"}}, NULL, NULL},
    {"MySQL's variables", {{CHECK_VERB}, {"DB_HOST=h", "MYSQL_DATABASE=d"}}, NULL, NULL},
    {"a doubtful DB_HOST beside Redis", {{NAMED}, {"DB_HOST=h", "REDIS_URL=redis://r"}}, "redis://r", "REDIS_URL"},
    {"... no doubt",
     {{NAMED}, {"DB_HOST=h", "DB_PORT=5432", "REDIS_URL=redis://r"}},
     "Host=\"h\";Port=\"5432\";",
     "DB_HOST"},
    {"POSTGRES_HOST",
     {{CHECK_VERB}, {"POSTGRES_HOST=h", "POSTGRES_PORT=1", "POSTGRES_DB=d", "POSTGRES_USER=u", "POSTGRES_PASSWORD=p"}},
     "Host=\"h\";Port=\"1\";Database=\"d\";Username=\"u\";Password=\"p\";",
     "POSTGRES_HOST"},
    {"what Kubernetes sets for a service called db",
     {{CHECK_VERB}, {"DB_HOST=h", "DB_PORT=tcp://10.0.0.1:5432"}},
     "Host=\"h\";",
     "DB_HOST"},
    {"... called postgres",
     {{CHECK_VERB}, {"POSTGRES_HOST=h", "POSTGRES_PORT=tcp://10.0.0.1:5432"}},
     "Host=\"h\";",
     "POSTGRES_HOST"},
    {"no port",
     {{CHECK_VERB}, {"DB_HOST=h", "DB_PORT=abc", "DB_SSLMODE=require"}},
     "Host=\"h\";Port=\"abc\";SSL Mode=\"require\";",
     "DB_PORT"},
    {"no mode",
     {{CHECK_VERB}, {"POSTGRES_HOST=h", "POSTGRES_SSLMODE=foo"}},
     "Host=\"h\";SSL Mode=\"foo\";",
     "POSTGRES_SSLMODE"},

    /* direct URLs */
    {"DIRECT_URL",
     {{CHECK_VERB}, {"DATABASE_URL=postgres://p/d", "DIRECT_URL=postgres://h/d"}},
     "postgres://h/d",
     "DIRECT_URL"},
    {"the first one",
     {{CHECK_VERB},
      {"DATABASE_URL=postgres://p/d", "MIGRATION_DATABASE_URL=postgres://i/d", "DIRECT_DATABASE_URL=postgres://h/d"}},
     "postgres://h/d",
     "DIRECT_DATABASE_URL"},
    {"... that is Postgres'",
     {{CHECK_VERB}, {"DATABASE_URL=postgres://p/d", "DIRECT_URL=https://h", "MIGRATION_DATABASE_URL=postgres://i/d"}},
     "postgres://i/d",
     "MIGRATION_DATABASE_URL"},
    {"beside PGHOST", {{CHECK_VERB}, {"PGHOST=p", "DIRECT_URL=postgres://h/d"}}, "postgres://h/d", "DIRECT_URL"},
    {"alone", {{CHECK_VERB}, {"DIRECT_URL=postgres://h/d"}}, "postgres://h/d", "DIRECT_URL"},
    {"beside another kind of database",
     {{CHECK_VERB}, {"DATABASE_URL=mysql://h/d", "DIRECT_URL=postgres://h/d"}},
     NULL,
     NULL},
    {"beside Prisma's proxy",
     {{CHECK_VERB}, {"DATABASE_URL=prisma://p", "DIRECT_URL=postgres://h/d"}},
     "postgres://h/d",
     "DIRECT_URL"},
    {"--lock over it",
     {{CHECK_VERB, "--lock=file:/x"}, {"DATABASE_URL=postgres://p/d", "DIRECT_URL=postgres://h/d"}},
     "file:/x",
     "--lock"},
    {"--database over it",
     {{CHECK_VERB, "--database=postgres://e/d"}, {"DIRECT_URL=postgres://h/d"}},
     "postgres://e/d",
     "--database"},
};

static void default_of_lock(void **state)
{
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(places); i++) {
        struct options options = given_options(places[i].row, &places[i].given);
        if (places[i].lock) {
            CHECK_TEXT(places[i].row, options.lock, places[i].lock);
            CHECK_TEXT(places[i].row, options.lock_what, places[i].what);
        } else {
            CHECK(places[i].row, strncmp(options.lock, "file:/", 6) == 0);
            CHECK_TEXT(places[i].row, strrchr(options.lock, '/'), "/lockstep");
        }
    }
}

/* A lock that was named keeps its records: a database that was only found gets none. */
static void records_beside_redis(void **state)
{
    static const struct {
        const char *row;
        struct given given;
        const char *database;
    } rows[] = {
        {"DATABASE_URL", {{NAMED, "--lock=redis://h"}, {"DATABASE_URL=postgres://h/d"}}, "postgres://h/d"},
        {"--database", {{NAMED, "--lock=redis://h", "--database=postgres://h"}, {NULL}}, "postgres://h"},
        {"PGHOST", {{NAMED, "--lock=redis://h"}, {"PGHOST=h"}}, NULL},
        {"a doubtful DB_HOST", {{NAMED, "--lock=redis://h"}, {"DB_HOST=h"}}, NULL},
        {"PGHOST beside another place", {{CHECK_VERB, "--lock=postgres://h"}, {"PGHOST=h"}}, "postgres://"},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct options options = given_options(rows[i].row, &rows[i].given);
        CHECK_TEXT(rows[i].row, options_records_database(&options), rows[i].database);
    }
}

static void unknown_scheme_is_an_error(void **state)
{
    static const struct {
        const char *row;
        struct given given;
        const char *says;
    } rows[] = {
        {"unknown scheme", {{CHECK_VERB}, {"DATABASE_URL=nonsense://h/d"}}, "DATABASE_URL"},
        {"unknown scheme with a driver", {{CHECK_VERB}, {"DATABASE_URL=mysqlx+pymysql://h/d"}}, "DATABASE_URL"},
        {"JDBC's scheme alone", {{CHECK_VERB}, {"DATABASE_URL=mysql:d"}}, "DATABASE_URL"},
        {"Prisma Accelerate", {{CHECK_VERB, "--database=prisma://h/?api_key=hunter22"}, {NULL}}, "--database"},
        {"no scheme", {{CHECK_VERB}, {"LOCKSTEP_DATABASE=shop"}}, "LOCKSTEP_DATABASE"},
        {"conninfo", {{CHECK_VERB}, {"DATABASE_URL=host=h password=hunter22"}}, "DATABASE_URL"},
        {"no Redis", {{NAMED}, {"REDIS_URL=memcached://:hunter22@h"}}, "REDIS_URL"},
        {"no Redis, no scheme", {{NAMED}, {"REDIS_URL=hunter22"}}, "REDIS_URL"},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        struct options options;
        struct err err;
        given_error(rows[i].row, &rows[i].given, rows[i].says);
        given_read(&rows[i].given, &options, &err);
        CHECK(rows[i].row, !strstr(err.text, "hunter22"));
    }
    given_options("... but --lock says where", &(struct given){{CHECK_VERB, "--lock=file:/x"},
                                                               {"DATABASE_URL=nonsense://h/d", "REDIS_URL=nonsense"}});
    given_options("... or the database does",
                  &(struct given){{CHECK_VERB}, {"DATABASE_URL=postgres://h/d", "REDIS_URL=nonsense"}});
}

/* Other apps may meet in the same Redis, so "default" must be the user's own word there. */
static void redis_needs_a_name(void **state)
{
    static const struct {
        const char *row;
        struct given given;
        const char *says; /* NULL: fine */
    } rows[] = {
        {"--lock", {{CHECK_VERB, "--lock=redis://h"}, {NULL}}, "a Redis lock (--lock)"},
        {"LOCKSTEP_LOCK", {{CHECK_VERB}, {"LOCKSTEP_LOCK=rediss://h"}}, "a Redis lock (LOCKSTEP_LOCK)"},
        {"REDIS_URL", {{CHECK_VERB}, {"REDIS_URL=redis://h"}}, "a Redis lock (REDIS_URL)"},
        {"a socket", {{CHECK_VERB, "--lock=unix:///s"}, {NULL}}, "--name (LOCKSTEP_NAME) is missing"},
        {"sentinels", {{CHECK_VERB, "--lock=redis+sentinel://h/m"}, {NULL}}, "--name (LOCKSTEP_NAME) is missing"},
        {"an empty name", {{CHECK_VERB, "--lock=redis://h"}, {"LOCKSTEP_NAME="}}, "LOCKSTEP_NAME"},
        {"beside a database",
         {{CHECK_VERB, "--lock=redis://h"}, {"DATABASE_URL=postgres://h/d"}},
         "--name (LOCKSTEP_NAME) is missing"},
        {"given", {{CHECK_VERB, "--lock=redis://h", "--name=default"}, {NULL}}, NULL},
        {"given as a variable", {{CHECK_VERB, "--lock=redis://h"}, {"LOCKSTEP_NAME=default"}}, NULL},
        {"REDIS_URL is not where we meet",
         {{CHECK_VERB}, {"DATABASE_URL=postgres://h/d", "REDIS_URL=redis://h"}},
         NULL},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
        if (rows[i].says)
            given_error(rows[i].row, &rows[i].given, rows[i].says);
        else
            CHECK_TEXT(rows[i].row, given_options(rows[i].row, &rows[i].given).name, "default");
    }
}

int unit_options_lock(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_of_lock),
        cmocka_unit_test(records_beside_redis),
        cmocka_unit_test(unknown_scheme_is_an_error),
        cmocka_unit_test(redis_needs_a_name),
    };
    return UNIT_RUN("options: lock, database, Redis", tests);
}
