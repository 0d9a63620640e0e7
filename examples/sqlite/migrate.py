"""Applies the files of migrations/ that this database has not had yet, each in a transaction of its own."""

import os
import sqlite3
from pathlib import Path

database = sqlite3.connect(os.environ["DATABASE_FILE"])
database.execute("PRAGMA journal_mode = WAL")
database.execute("CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT PRIMARY KEY)")
applied = {name for (name,) in database.execute("SELECT name FROM schema_migrations")}

for file in sorted(Path("migrations").glob("*.sql")):
    if file.name not in applied:
        print("applying", file.name)
        database.executescript(
            f"BEGIN; {file.read_text()} INSERT INTO schema_migrations VALUES ('{file.name}'); COMMIT;"
        )
