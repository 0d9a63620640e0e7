"""A TCP proxy that breaks things on purpose: it holds bytes back, cuts, delays, and springs traps on what it sees."""

import re
import socket
import struct
import threading
import time

UP, DOWN = "up", "down"  # client to server, server to client


class Connection:
    """One client and its connection to the server. `sent` is all that the client has said so far."""

    def __init__(self, proxy, client, server):
        self.proxy, self.client, self.server, self.sent = proxy, client, server, b""
        self.tail = {UP: b"", DOWN: b""}
        self.opened, self.resetting = proxy.opened, False

    def start(self):
        for direction, source, sink in ((UP, self.client, self.server), (DOWN, self.server, self.client)):
            threading.Thread(target=self._pump, args=(direction, source, sink), daemon=True).start()

    def said(self, needle):
        return re.search(needle, self.sent, re.IGNORECASE) is not None

    def close(self):
        for end in (self.client, self.server):
            try:
                if self.resetting and end is self.client:
                    end.close()
                else:
                    end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def reset(self):
        """Closes the client's end as a host does that has been started anew: RST instead of FIN."""
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.resetting = True
        self.client.shutdown(socket.SHUT_RD)  # tells the client nothing; the pump that reads from it closes it

    def _pump(self, direction, source, sink):
        try:
            while data := source.recv(65536):
                if direction == UP:
                    self.sent += data
                if not self.proxy._pass(self, direction, data):
                    break
                sink.sendall(data)
        except OSError:
            pass
        self.proxy._wait_open(direction)  # a partition hides the end of a connection as well
        self.close()
        self.proxy._gone(self)


class Trap:
    """Springs once, on the first bytes of one direction that match. `sprung` is set afterwards."""

    def __init__(self, direction, pattern, action, where):
        self.direction, self.pattern, self.action, self.where = direction, re.compile(pattern, re.IGNORECASE), action, where
        self.sprung = threading.Event()

    def wait(self, timeout=60):
        assert self.sprung.wait(timeout), f"nothing matched {self.pattern.pattern!r}"


class Proxy:
    """Listens on its own loopback port and passes everything to `upstream` = (host, port), which may be changed."""

    def __init__(self, upstream, port=0, host="127.0.0.1"):
        self.upstream, self.delay, self.total = upstream, 0.0, 0
        self.opened, self.closed = threading.Condition(), False
        self.blocked, self.refusing, self.traps, self.connections = set(), False, [], []
        self.listener = socket.create_server((host, port), backlog=256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    # what a test does

    def blackhole(self, *directions):
        """Holds back everything in these directions (both by default). Connections stay open, new ones get no answer."""
        with self.opened:
            self.blocked.update(directions or (UP, DOWN))

    def heal(self):
        """Lets everything pass again, held bytes first, as TCP would retransmit them."""
        with self.opened:
            self.blocked.clear()
            self.opened.notify_all()

    def cut(self):
        """Closes all connections."""
        for connection in list(self.connections):
            connection.close()

    def reset(self):
        """Resets all connections."""
        for connection in list(self.connections):
            connection.reset()

    def trap(self, direction, pattern, action="cut", where=lambda connection: True):
        """The next matching bytes are not passed on; instead the connection is cut ("cut"), its direction falls silent for
        good ("mute"), or the proxy becomes a blackhole ("blackhole"). Set it before the bytes can come."""
        trap = Trap(direction, pattern, action, where)
        self.traps.append(trap)
        return trap

    def url(self, database, **kwargs):
        return database.url(port=self.port, **kwargs)

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.closed = True
        self.cut()
        self.heal()

    # what the pumps do

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.total += 1
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client):
        self._wait_open(UP)
        try:
            server = socket.create_connection(self.upstream, timeout=10)
            server.settimeout(None)
        except OSError:
            client.close()
            return
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(self, client, server)
        self.connections.append(connection)
        connection.start()

    def _wait_open(self, direction):
        with self.opened:
            self.opened.wait_for(lambda: direction not in self.blocked)

    def _wait_closed(self):
        with self.opened:
            self.opened.wait_for(lambda: self.closed)

    def _pass(self, connection, direction, data):
        """False when the bytes must not go on and the connection is to be closed."""
        window = connection.tail[direction] + data
        connection.tail[direction] = window[-64:]
        for trap in list(self.traps):
            if trap.direction == direction and trap.pattern.search(window) and trap.where(connection):
                self.traps.remove(trap)
                if trap.action == "blackhole":
                    self.blackhole()
                trap.sprung.set()
                if trap.action == "mute":
                    self._wait_closed()
                if trap.action != "blackhole":
                    return False
        self._wait_open(direction)
        if self.delay:
            time.sleep(self.delay)
        return True

    def _gone(self, connection):
        with self.opened:
            if connection in self.connections:
                self.connections.remove(connection)
