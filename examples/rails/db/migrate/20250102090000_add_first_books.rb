class AddFirstBooks < ActiveRecord::Migration[7.2]
  def up
    execute <<~SQL
      INSERT INTO books (title, author) VALUES
        ('Emma', 'Jane Austen'), ('Middlemarch', 'George Eliot'), ('Walden', 'Henry David Thoreau')
    SQL
  end

  def down
    execute "DELETE FROM books"
  end
end
