import time

from sqlalchemy import func, select

from database import Book, Session

while True:
    with Session.begin() as session:
        book = session.scalars(select(Book).order_by(func.random()).limit(1)).one()
        book.loans = Book.loans + 1
        print(f"lent: {book.title}")
    time.sleep(1)
