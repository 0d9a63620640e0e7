module.exports = {
  client: "pg",
  connection: process.env.DATABASE_URL,
  migrations: { tableName: process.env.HISTORY_TABLE ?? "knex_migrations" },
};
