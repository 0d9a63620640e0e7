"""first books"""

import sqlalchemy as sa
from alembic import op

revision = "c90b7713f6e8"
down_revision = "a46d0e7c5b12"

book = sa.table("book", sa.column("title"), sa.column("author"))


def upgrade():
    op.bulk_insert(
        book,
        [
            {"title": "Walden", "author": "Thoreau"},
            {"title": "Emma", "author": "Austen"},
            {"title": "Ulysses", "author": "Joyce"},
        ],
    )


def downgrade():
    op.execute(book.delete())
