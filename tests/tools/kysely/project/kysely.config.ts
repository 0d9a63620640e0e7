import { PostgresDialect } from "kysely";
import { defineConfig } from "kysely-ctl";
import { Pool } from "pg";

export default defineConfig({
  dialect: new PostgresDialect({ pool: new Pool({ connectionString: process.env.DATABASE_URL }) }),
  migrations: {
    migrationFolder: "migrations",
    migrationTableName: process.env.HISTORY_TABLE ?? "kysely_migration",
    // Otherwise all migrations are one transaction.
    disableTransactions: true,
  },
});
