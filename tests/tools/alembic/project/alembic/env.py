import os

import sqlalchemy
from alembic import context

engine = sqlalchemy.create_engine(os.environ["DATABASE_URL"], poolclass=sqlalchemy.pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, version_table=os.environ.get("HISTORY_TABLE", "alembic_version"))
    with context.begin_transaction():
        context.run_migrations()
