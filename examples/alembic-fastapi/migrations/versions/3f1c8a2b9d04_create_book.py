"""create book"""

import sqlalchemy as sa
from alembic import op

revision = "3f1c8a2b9d04"
down_revision = None


def upgrade():
    op.create_table(
        "book",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("title", sa.String, nullable=False),
    )


def downgrade():
    op.drop_table("book")
