"""Something that listens and is no Redis: it says its words to whoever has said something, and hangs up. Or says nothing at all."""

import socket
import threading


class Talker:
    """With words=None it never answers, and keeps the connections open."""

    def __init__(self, words):
        self.words, self.peers = words, []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            if self.words is None:
                self.peers.append(peer)
            else:
                threading.Thread(target=self._talk, args=(peer,), daemon=True).start()

    def _talk(self, peer):
        with peer:
            try:
                peer.recv(65536)
                peer.sendall(self.words)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(65536):  # or the words might be lost by a reset
                    pass
            except OSError:
                pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for peer in self.peers:
            peer.close()
