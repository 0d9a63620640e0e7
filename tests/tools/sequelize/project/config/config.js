const common = {
  dialect: "postgres",
  use_env_variable: "DATABASE_URL",
  migrationStorageTableName: process.env.HISTORY_TABLE ?? "SequelizeMeta",
};

module.exports = { development: common, production: common };
