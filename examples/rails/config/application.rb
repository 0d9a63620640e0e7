require_relative "boot"

require "rails"
require "active_record/railtie"
require "action_controller/railtie"

Bundler.require(*Rails.groups)

module Library
  class Application < Rails::Application
    config.load_defaults 7.2
    config.api_only = true
    config.eager_load = true
    config.logger = ActiveSupport::Logger.new($stdout)
    config.log_level = :info

    # The migration runs as a user who may not write db/schema.rb, in a container that is thrown away.
    config.active_record.dump_schema_after_migration = false
  end
end
