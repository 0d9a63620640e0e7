import os
import random
import sqlite3
import time

database = sqlite3.connect(os.environ["DATABASE_FILE"], timeout=30)

while True:
    with database:
        for (sensor,) in database.execute("SELECT id FROM sensor").fetchall():
            celsius = round(random.uniform(-5, 25), 1)
            database.execute("INSERT INTO reading (celsius, sensor_id) VALUES (?, ?)", (celsius, sensor))
    print("readings written")
    time.sleep(1)
