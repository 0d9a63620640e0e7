/* Every row of the URL table of the research notes (section 4). */
#include "unit.h"
#include "url.h"
#include "url_kit.h"

#include <string.h>

static const struct url_row rows[] = {
    /* Prisma */
    {"schema", "postgres://h/d?schema=x", {HD, "options", "-c search_path=\"x\""}, "x", NULL, false},
    {"schema, encoded name", "postgres://h/d?%73chema=x", {HD, "options", "-c search_path=\"x\""}, "x", NULL, false},
    {"schema is one name, as it is",
     "postgres://h/d?schema=My%20\"S,t\\",
     {HD, "options", "-c search_path=\"My\\ \"\"S,t\\\\\""},
     "My \"S,t\\",
     NULL,
     false},
    {"schema beside options",
     "postgres://h/d?schema=x&options=-c%20geqo=off",
     {HD, "options", "-c geqo=off -c search_path=\"x\""},
     "x",
     NULL,
     false},
    {"empty schema", "postgres://h/d?schema=", {HD}, NULL, NULL, false},
    {"Prisma's own",
     "postgres://h/d?connection_limit=5&pool_timeout=1&socket_timeout=2&statement_cache_size=0&max_connection_lifetime="
     "3&max_idle_connection_lifetime=4&sslidentity=a.p12&sslaccept=accept_invalid_certs",
     {HD},
     NULL,
     "connection_limit, pool_timeout, socket_timeout, statement_cache_size, max_connection_lifetime, "
     "max_idle_connection_lifetime, sslidentity",
     false},
    {"pgbouncer=true", "postgres://h/d?pgbouncer=true", {HD}, NULL, NULL, true},
    {"pgbouncer=false", "postgres://h/d?pgbouncer=false", {HD}, NULL, NULL, false},
    {"a pooler gets no settings", "postgres://h/d?pgbouncer=true&schema=x", {HD}, "x", NULL, true},
    {"... but the user's own", "postgres://h/d?pgbouncer=1&options=-ca=b", {HD, "options", "-ca=b"}, NULL, NULL, true},
    {"Prisma's sslcert is the authority",
     "postgres://h/d?sslmode=require&sslcert=/ca.pem&schema=x",
     {HD, "sslmode", "require", "sslrootcert", "/ca.pem", "options", "-c search_path=\"x\""},
     "x",
     NULL,
     false},
    {"... with sslaccept=strict",
     "postgres://h/d?sslmode=require&sslcert=/ca.pem&sslaccept=strict",
     {HD, "sslmode", "verify-full", "sslrootcert", "/ca.pem"},
     NULL,
     NULL,
     false},
    {"... not beside an sslkey",
     "postgres://h/d?sslcert=/c.pem&sslkey=/c.key&schema=x",
     {HD, "sslcert", "/c.pem", "sslkey", "/c.key", "options", "-c search_path=\"x\""},
     "x",
     NULL,
     false},
    {"... in another's it depends on the machine",
     "postgres://h/d?sslcert=/c.pem",
     {HD, "sslcert", "/c.pem"},
     NULL,
     NULL,
     false},
    {"... not where there is an authority",
     "postgres://h/d?sslcert=/c.pem&sslrootcert=/ca.pem",
     {HD, "sslcert", "/c.pem", "sslrootcert", "/ca.pem"},
     NULL,
     NULL,
     false},
    {"... nor in JDBC's", "jdbc:postgresql://h/d?sslcert=/c.pem", {HD, "sslcert", "/c.pem"}, NULL, NULL, false},
    {"... nor in Npgsql's, whose file may have the key",
     "Host=h;Database=d;SSL Certificate=/c.pem",
     {HD, "sslcert", "/c.pem"},
     NULL,
     NULL,
     false},
    {"sslaccept=strict forces no TLS", "postgres://h/d?sslaccept=strict", {HD}, NULL, NULL, false},
    {"... beside prefer neither",
     "postgres://h/d?sslmode=prefer&sslaccept=strict",
     {HD, "sslmode", "prefer"},
     NULL,
     NULL,
     false},
    {"sslaccept=strict beside ssl=true",
     "postgres://h/d?ssl=true&sslaccept=strict",
     {HD, "sslmode", "verify-full"},
     NULL,
     NULL,
     false},

    /* TLS */
    {"ssl=true", "postgres://h/d?ssl=true", {HD, "sslmode", "require"}, NULL, NULL, false},
    {"ssl=TRUE", "postgres://h/d?ssl=TRUE", {HD, "sslmode", "require"}, NULL, NULL, false},
    {"ssl=1", "postgres://h/d?ssl=1", {HD, "sslmode", "require"}, NULL, NULL, false},
    {"ssl=require", "postgres://h/d?ssl=require", {HD, "sslmode", "require"}, NULL, NULL, false},
    {"ssl=false", "postgres://h/d?ssl=false", {HD, "sslmode", "disable"}, NULL, NULL, false},
    {"ssl=0", "postgres://h/d?ssl=0", {HD, "sslmode", "disable"}, NULL, NULL, false},
    {"ssl=verify-full", "postgres://h/d?ssl=verify-full", {HD, "sslmode", "verify-full"}, NULL, NULL, false},
    {"ssl alone", "jdbc:postgresql://h/d?ssl", {HD, "sslmode", "require"}, NULL, NULL, false},
    {"ssl weakens no sslmode",
     "postgres://h/d?sslmode=verify-full&ssl=true",
     {HD, "sslmode", "verify-full"},
     NULL,
     NULL,
     false},
    {"... before it neither",
     "postgres://h/d?ssl=false&sslmode=require",
     {HD, "sslmode", "require"},
     NULL,
     NULL,
     false},
    {"no-verify", "postgres://h/d?sslmode=no-verify", {HD, "sslmode", "require"}, NULL, NULL, false},
    {"sslmode in capitals", "postgres://h/d?sslmode=REQUIRE", {HD, "sslmode", "require"}, NULL, NULL, false},
    {"... its name too", "postgres://h/d?SSLMODE=require", {HD, "sslmode", "require"}, NULL, NULL, false},
    {"JDBC's sslMode", "postgres://h/d?sslMode=verify-ca", {HD, "sslmode", "verify-ca"}, NULL, NULL, false},
    {"uselibpqcompat",
     "postgres://h/d?uselibpqcompat=true&sslmode=require",
     {HD, "sslmode", "require"},
     NULL,
     "uselibpqcompat",
     false},
    {"sslrootcert=system", "postgres://h/d?sslrootcert=system", {HD, "sslrootcert", "system"}, NULL, NULL, false},

    /* schemes */
    {"psycopg2", "postgresql+psycopg2://h/d", {HD}, NULL, NULL, false},
    {"psycopg", "postgresql+psycopg://h/d", {HD}, NULL, NULL, false},
    {"asyncpg", "postgresql+asyncpg://h/d?ssl=require", {HD, "sslmode", "require"}, NULL, NULL, false},
    {"pg8000", "postgresql+pg8000://h/d", {HD}, NULL, NULL, false},
    {"postgres and a driver", "postgres+asyncpg://h/d", {HD}, NULL, NULL, false},
    {"ecto", "ecto://h/d", {HD}, NULL, NULL, false},
    {"pgsql", "pgsql://h/d", {HD}, NULL, NULL, false},
    {"pdo-pgsql", "pdo-pgsql://h/d", {HD}, NULL, NULL, false},
    {"psql", "psql://h/d", {HD}, NULL, NULL, false},
    {"postgis", "postgis://h/d", {HD}, NULL, NULL, false},
    {"pgx5", "pgx5://h/d", {HD}, NULL, NULL, false},
    {"cockroachdb", "cockroachdb://h/d", {HD}, NULL, NULL, false},
    {"timescalegis", "timescalegis://h/d", {HD}, NULL, NULL, false},
    {"capitals", "POSTGRESQL+PsycoPG2://h/d", {HD}, NULL, NULL, false},

    /* Go */
    {"pgx's pool",
     "postgres://h/d?pool_max_conns=5&pool_min_conns=1&pool_max_conn_lifetime=1h&default_query_exec_mode=exec&"
     "statement_cache_capacity=0",
     {HD},
     NULL,
     "pool_max_conns, pool_min_conns, pool_max_conn_lifetime, default_query_exec_mode, statement_cache_capacity",
     false},
    {"search_path",
     "postgres://h/d?search_path=x,public",
     {HD, "options", "-c search_path=x,public"},
     "x",
     NULL,
     false},
    {"search_path, folded",
     "postgres://h/d?search_path=%20My,b",
     {HD, "options", "-c search_path=\\ My,b"},
     "my",
     NULL,
     false},
    {"search_path, quoted",
     "postgres://h/d?search_path=\"My\"\"S\",b",
     {HD, "options", "-c search_path=\"My\"\"S\",b"},
     "My\"S",
     NULL,
     false},
    {"search_path of the user",
     "postgres://h/d?search_path=\"$user\",x",
     {HD, "options", "-c search_path=\"$user\",x"},
     NULL,
     NULL,
     false},
    {"statement_timeout is not for us",
     "postgres://h/d?statement_timeout=1&lock_timeout=2",
     {HD},
     NULL,
     "statement_timeout, lock_timeout",
     false},
    {"TimeZone", "postgres://h/d?TimeZone=Europe/Rome", {HD, "options", "-c TimeZone=Europe/Rome"}, NULL, NULL, false},
    {"timezone", "postgres://h/d?timezone=UTC", {HD, "options", "-c TimeZone=UTC"}, NULL, NULL, false},
    {"a setting of the app's own",
     "postgres://h/d?app.tenant=a%5Cb",
     {HD, "options", "-c app.tenant=a\\\\b"},
     NULL,
     NULL,
     false},
    {"lib/pq",
     "postgres://h/d?binary_parameters=yes&disable_prepared_binary_result=yes",
     {HD},
     NULL,
     "binary_parameters, disable_prepared_binary_result",
     false},
    {"dbmate's socket", "postgres:///d?socket=/run/pg", {"host", "/run/pg", "dbname", "d"}, NULL, NULL, false},

    /* Rust */
    {"sqlx",
     "postgres://h/d?ssl-mode=verify-full&ssl-root-cert=/ca&ssl-cert=/c&ssl-key=/k&statement-cache-capacity=9",
     {HD, "sslmode", "verify-full", "sslrootcert", "/ca", "sslcert", "/c", "sslkey", "/k"},
     NULL,
     "statement-cache-capacity",
     false},
    {"sqlx's ssl-ca", "postgres://h/d?ssl-ca=/ca", {HD, "sslrootcert", "/ca"}, NULL, NULL, false},
    {"sqlx's options",
     "postgres://h/d?options[search_path]=x&options[geqo]=off&options[statement_timeout]=1",
     {HD, "options", "-c search_path=x -c geqo=off"},
     "x",
     "options[statement_timeout]",
     false},

    /* Ruby, Elixir, PHP, Python */
    {"Rails and Ecto",
     "postgres://h/d?pool=5&pool_size=9&timeout=5000&encoding=unicode&prepared_statements=false&advisory_locks=false&"
     "schema_search_path=x",
     {HD, "options", "-c search_path=x"},
     "x",
     "pool, pool_size, timeout, encoding, prepared_statements, advisory_locks",
     false},
    {"Doctrine", "postgresql://h/d?serverVersion=16&charset=utf8", {HD}, NULL, "serverVersion, charset", false},
    {"currentSchema", "postgres://h/d?currentSchema=x", {HD, "options", "-c search_path=x"}, "x", NULL, false},

    /* how values are written */
    {"double quotes", "\"postgres://h/d\"", {HD}, NULL, NULL, false},
    {"single quotes and white space",
     " 'postgres://h/d?sslmode=require' \r\n",
     {HD, "sslmode", "require"},
     NULL,
     NULL,
     false},
    {"a quote at one end", "postgres://h/d\"", {H, "dbname", "d\""}, NULL, NULL, false},
    {"quotes around the .NET form", "\"Host=h;Database=d\"\n", {HD}, NULL, NULL, false},

    /* poolers by their names */
    {"Neon",
     "postgres://ep-x-pooler.eu.neon.tech/d",
     {"host", "ep-x-pooler.eu.neon.tech", "dbname", "d"},
     NULL,
     NULL,
     true},
    {"Supabase",
     "postgres://aws-0.pooler.supabase.com/d",
     {"host", "aws-0.pooler.supabase.com", "dbname", "d"},
     NULL,
     NULL,
     true},
    {"Supabase's port",
     "postgres://db.x.supabase.co:6543/d",
     {"host", "db.x.supabase.co", "port", "6543", "dbname", "d"},
     NULL,
     NULL,
     true},
    {"another one on that port", "postgres://h:6543/d", {HD, "port", "6543"}, NULL, NULL, false},

    {"nobody's", "postgres://h/d?nonsense=1&more%20of=it", {HD}, NULL, "nonsense, more of", false},
};

static void every_dialect(void **state)
{
    (void)state;
    check_url_rows(rows, UNIT_COUNT(rows));
}

static void golang_migrate(void **state)
{
    static const struct {
        const char *row, *text, *table;
        bool quoted;
    } tables[] = {
        {"none", "postgres://h/d?x-multi-statement=true", NULL, false},
        {"a table", "pgx5://h/d?x-migrations-table=my%20table&x-migrations-table-quoted=false", "my table", false},
        {"quoted", "postgres://h/d?x-migrations-table-quoted=1&x-migrations-table=%22a%22.%22b%22", "\"a\".\"b\"",
         true},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(tables); i++) {
        struct url url;
        struct err err;
        CHECK_NUMBER(tables[i].row, url_parse(&url, tables[i].text, "DATABASE_URL", &err), 0);
        CHECK_TEXT(tables[i].row, url.migrations_table, tables[i].table);
        CHECK_NUMBER(tables[i].row, url.migrations_table_quoted, tables[i].quoted);
        CHECK_NUMBER(tables[i].row, url.count, 2);
        url_free(&url);
    }
}

/* What a pooler is given that refuses settings. */
static void options_without_settings(void **state)
{
    static const struct {
        const char *row, *text, *plain;
        bool settings;
    } given[] = {
        {"neither", "postgres://h/d", "", false},
        {"own options", "postgres://h/d?options=-ca=b", "-ca=b", false},
        {"a search path", "postgres://h/d?search_path=x", "", true},
        {"both", "postgres://h/d?search_path=x&options=-ca=b", "-ca=b", true},
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(given); i++) {
        struct url url;
        struct err err;
        CHECK_NUMBER(given[i].row, url_parse(&url, given[i].text, "DATABASE_URL", &err), 0);
        CHECK_TEXT(given[i].row, url.plain_options, given[i].plain);
        CHECK_NUMBER(given[i].row, url.has_settings, given[i].settings);
        url_free(&url);
    }
}

static void other_texts(void **state)
{
    static const char *const others[] = {
        "",
        "shop",
        "mysql://h/d",
        "prisma://h/?api_key=x",
        "prisma+postgres://h",
        "jdbc:mysql://h/d",
        "jdbc:h2:mem:x",
        "redis://h",
        "file:/x",
        "postgres:h",
        "postgresqlx://h",
        "+postgres://h",
        "host=h dbname=d user=u password=p",
        "Server=tcp:h,1433;Initial Catalog=d;User ID=u;Password=p",
        "Server=h;Database=d;Uid=u;Pwd=p",
        "Server=h;Port=3306;Database=d;Uid=u;Pwd=p",
        "Host=h;Port=3306;Database=d",
        "Data Source=app.db",
        "redis://h?a=1;host=2",
    };
    (void)state;
    for (size_t i = 0; i < UNIT_COUNT(others); i++) {
        struct url url;
        struct err err = {.code = ERR_NONE};
        CHECK(others[i], !url_is_postgres(others[i]));
        CHECK_NUMBER(others[i], url_parse(&url, others[i], "DATABASE_URL", &err), -1);
        CHECK_NUMBER(others[i], err.code, ERR_USAGE);
    }
}

static void wrong_ones(void **state)
{
    static const struct {
        const char *row, *text, *says;
    } wrong[] = {
        {"Npgsql, raw ; in the password", "Host=h;Password=Xq7z;Kw9v", "doubled"},
        {"Npgsql, raw ; and = in the password", "Host=h;Password=Xq7z;Kw9v=Bn5m;Database=d", "quotes"},
        {"Npgsql, open quote", "Host=h;Password=\"Xq7zKw9v", "Key=\"a;b\"\"c\""},
        {"Npgsql, something behind the quote", "Host=h;Password=\"Xq7z\"Kw9v", "quote"},
        {"Npgsql, port", "Host=h:Xq7zKw9v;Database=d", "port"},
        {"JDBC, raw & in the password", "jdbc:postgresql://h/d?user=a&password=Xq7z&Kw9v=1", "%26"},
        {"JDBC, sslmode", "jdbc:postgresql://h/d?sslmode=Xq7zKw9v", "verify-full"},
        {"search path beyond all measure", NULL, "too long"},
    };
    static char text[4096] = "postgres://h/d?search_path=";
    (void)state;
    memset(text + strlen(text), 'x', 3000);
    for (size_t i = 0; i < UNIT_COUNT(wrong); i++) {
        struct url url;
        struct err err = {.code = ERR_NONE};
        CHECK_NUMBER(wrong[i].row, url_parse(&url, wrong[i].text ? wrong[i].text : text, "DATABASE_URL", &err), -1);
        CHECK_NUMBER(wrong[i].row, err.code, ERR_USAGE);
        CHECK(wrong[i].row, strstr(err.text, wrong[i].says));
        CHECK_NO_PART(wrong[i].row, err.text, "Xq7z");
        CHECK_NO_PART(wrong[i].row, err.text, "Kw9v");
    }
}

int unit_url_dialect(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_dialect), cmocka_unit_test(golang_migrate), cmocka_unit_test(options_without_settings),

        cmocka_unit_test(other_texts),   cmocka_unit_test(wrong_ones),
    };
    return UNIT_RUN("url: dialects", tests);
}
