const { Migrator } = require("@mikro-orm/migrations");
const { PostgreSqlDriver } = require("@mikro-orm/postgresql");

module.exports = {
  driver: PostgreSqlDriver,
  clientUrl: process.env.DATABASE_URL,
  entities: [],
  discovery: { warnWhenNoEntities: false },
  extensions: [Migrator],
  migrations: {
    path: "migrations",
    tableName: process.env.HISTORY_TABLE ?? "mikro_orm_migrations",
    // Otherwise all migrations are one transaction.
    allOrNothing: false,
  },
};
