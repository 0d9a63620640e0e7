"""add author and loans"""

import sqlalchemy as sa
from alembic import op

revision = "a46d0e7c5b12"
down_revision = "3f1c8a2b9d04"


def upgrade():
    op.add_column("book", sa.Column("author", sa.String))
    op.add_column("book", sa.Column("loans", sa.Integer, nullable=False, server_default="0"))


def downgrade():
    op.drop_column("book", "loans")
    op.drop_column("book", "author")
