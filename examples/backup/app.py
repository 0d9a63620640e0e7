"""Serves the bestsellers over HTTP."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg


class Bestsellers(BaseHTTPRequestHandler):
    def do_GET(self):
        with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
            rows = connection.execute("SELECT product, sold FROM bestsellers ORDER BY sold DESC").fetchall()
        body = json.dumps({product: int(sold) for product, sold in rows}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("", 8000), Bestsellers).serve_forever()
