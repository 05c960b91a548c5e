"""A client of node RPC on aioquic, a QUIC implementation that shares nothing with the server's.

Reads one JSON object a line from standard input and answers each with one on standard output:

  {"op": "call", "port", "server_name", "roots", "chain", "key", "frame"}   one connection, one request
  {"op": "resume", ...}                                                     the same with the ticket of the last call

`chain` and `key` may be null. `roots`, `chain` and `key` are PEM, `frame` is the request in base64. The request is put
into the very flight that ends the handshake (or into early data, where the stack has any to send). The answer says
whether the session was resumed, whether early data was accepted, the answer's bytes, and how the connection ended.
"""

import base64
import json
import select
import socket
import ssl
import sys
import time
from tempfile import NamedTemporaryFile

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import (
    ConnectionTerminated,
    HandshakeCompleted,
    StreamDataReceived,
    StreamReset,
)

ALPN = "palyra-quic-v1"
LIMIT_SECONDS = 5.0
# What the server sends after its answer (its ticket) is waited for this long.
LINGER_SECONDS = 0.3
STREAM = 0


class Call:
    """One connection that asks one question as early as it can."""

    def __init__(self, request, ticket):
        self.frame = base64.b64decode(request["frame"])
        self.ticket = None
        self.asked = False
        self.answer = b""
        self.answered = False
        self.handshake = None
        self.ended = None
        configuration = QuicConfiguration(
            is_client=True,
            alpn_protocols=[ALPN],
            server_name=request["server_name"],
            cadata=request["roots"].encode(),
            verify_mode=ssl.CERT_REQUIRED,
            session_ticket=ticket,
        )
        if request["chain"] is not None:
            load_certificate(configuration, request["chain"], request["key"])
        self.connection = QuicConnection(configuration=configuration, session_ticket_handler=self.keep_ticket)
        self.address = ("127.0.0.1", request["port"])

    def keep_ticket(self, ticket):
        self.ticket = ticket

    def run(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
            door.bind(("127.0.0.1", 0))
            self.connection.connect(self.address, now=time.time())
            if self.connection.configuration.session_ticket is not None:
                # Goes as early data if the ticket allows any, with the last flight of the handshake otherwise.
                self.ask()
            self.drive(door)
            self.connection.close()
            self.send(door)

    def drive(self, door):
        deadline = time.time() + LIMIT_SECONDS
        while time.time() < deadline and self.ended is None:
            self.send(door)
            if self.answered:
                deadline = min(deadline, time.time() + LINGER_SECONDS)
                self.answered = False
            timer = self.connection.get_timer()
            wait = max(0.0, min(deadline, timer if timer is not None else deadline) - time.time())
            if select.select([door], [], [], wait)[0]:
                datagram, address = door.recvfrom(65536)
                self.connection.receive_datagram(datagram, address, now=time.time())
            elif timer is not None and time.time() >= timer:
                self.connection.handle_timer(now=time.time())
            self.take_events()

    def take_events(self):
        while (event := self.connection.next_event()) is not None:
            if isinstance(event, HandshakeCompleted):
                self.handshake = event
                # Nothing has been sent since: the request leaves with the client's Finished.
                self.ask()
            elif isinstance(event, StreamDataReceived):
                self.answer += event.data
                self.answered = self.answered or event.end_stream
            elif isinstance(event, StreamReset):
                self.ended = {"reset": event.error_code}
            elif isinstance(event, ConnectionTerminated):
                self.ended = {"code": event.error_code, "application": event.frame_type is None}

    def ask(self):
        if not self.asked:
            self.asked = True
            self.connection.send_stream_data(STREAM, self.frame, end_stream=True)

    def send(self, door):
        for datagram, address in self.connection.datagrams_to_send(now=time.time()):
            door.sendto(datagram, address)

    def report(self):
        handshake = self.handshake
        return {
            "answer": base64.b64encode(self.answer).decode(),
            "ended": self.ended,
            "resumed": handshake is not None and handshake.session_resumed,
            "early_data": handshake is not None and handshake.early_data_accepted,
            "ticket": self.ticket is not None,
        }


def load_certificate(configuration, chain, key):
    with NamedTemporaryFile("w") as chain_file, NamedTemporaryFile("w") as key_file:
        chain_file.write(chain)
        chain_file.flush()
        key_file.write(key)
        key_file.flush()
        configuration.load_cert_chain(chain_file.name, key_file.name)


def main():
    ticket = None
    for line in sys.stdin:
        request = json.loads(line)
        call = Call(request, ticket if request["op"] == "resume" else None)
        call.run()
        ticket = call.ticket or ticket
        print(json.dumps(call.report()), flush=True)


main()
