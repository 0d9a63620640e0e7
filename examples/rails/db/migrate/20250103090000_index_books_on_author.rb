# CREATE INDEX CONCURRENTLY waits for other transactions' snapshots: replicas that wait for this migration hold none.
class IndexBooksOnAuthor < ActiveRecord::Migration[7.2]
  disable_ddl_transaction!

  def change
    add_index :books, :author, algorithm: :concurrently
  end
end
