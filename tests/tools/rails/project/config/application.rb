require "rails"
require "active_record/railtie"

class Tasks < Rails::Application
  config.eager_load = false
  config.log_level = :warn
  config.logger = Logger.new($stderr, level: :warn)
  config.active_record.dump_schema_after_migration = false
  config.active_record.schema_migrations_table_name = ENV.fetch("HISTORY_TABLE", "schema_migrations")
end
