"""A network between a daemon and its coordinator that can be cut: while it is, nothing passes and nobody is told."""
import contextlib
import socket
import threading


class Partition(contextlib.AbstractContextManager):
    """Listens on a loopback port and passes everything on to `target`, another one; cut() holds every byte back."""

    def __init__(self, target):
        self.target = target
        self.whole = threading.Event()
        self.whole.set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sockets = [self.listener]
        threading.Thread(target=self.accept, daemon=True).start()

    def __exit__(self, *_):
        self.heal()
        for used in self.sockets:
            with contextlib.suppress(OSError):
                used.shutdown(socket.SHUT_RDWR)
            used.close()

    def cut(self):
        self.whole.clear()

    def heal(self):
        self.whole.set()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                self.sockets.append(near)
                threading.Thread(target=self.join, args=(near,), daemon=True).start()

    def join(self, near):
        self.whole.wait()
        with contextlib.suppress(OSError):
            far = socket.create_connection(("127.0.0.1", self.target))
            self.sockets.append(far)
            threading.Thread(target=self.pump, args=(far, near), daemon=True).start()
            self.pump(near, far)

    def pump(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.whole.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
