module.exports = {
  dialect: "postgresql",
  out: "./drizzle",
  dbCredentials: { url: process.env.DATABASE_URL },
  migrations: { table: process.env.HISTORY_TABLE ?? "__drizzle_migrations" },
};
