export default {
  client: "mysql2",
  connection: process.env.DATABASE_URL,
  // An older image that restarts during a deploy finds more migrations than it has: that is no corruption.
  migrations: { directory: "./migrations", disableMigrationsListValidation: true },
};
