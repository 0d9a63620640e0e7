import json
import os
import sqlite3
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LATEST = """
    SELECT sensor.name, reading.celsius, reading.at
    FROM reading JOIN sensor ON sensor.id = sensor_id
    ORDER BY reading.id DESC LIMIT 10
"""


class Api(BaseHTTPRequestHandler):
    def do_GET(self):
        with closing(sqlite3.connect(os.environ["DATABASE_FILE"])) as database:
            rows = database.execute(LATEST).fetchall()
        body = json.dumps([{"sensor": s, "celsius": c, "at": at} for s, c, at in rows]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("0.0.0.0", 8000), Api).serve_forever()
