"""The proxy with faults, as a command."""

import json
import socket
import threading
import time

from tests.cli.bed import edgekit_run


def test_a_proxy_with_faults_says_what_it_did() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_server(("127.0.0.1", 0)) as free:
        here, there = free.getsockname()[1], listener.getsockname()[1]
        free.close()

        def talk() -> None:
            for _ in range(100):
                try:
                    with socket.create_connection(("127.0.0.1", here), 1) as sock:
                        sock.sendall(b"x" * 1000)
                        return
                except OSError:
                    time.sleep(0.02)

        def hear() -> None:
            sock, _ = listener.accept()
            with sock:
                while sock.recv(1000):
                    pass

        for run in (hear, talk):
            threading.Thread(target=run, daemon=True).start()
        outcome = edgekit_run(
            "dev",
            "chaos",
            f"127.0.0.1:{there}",
            "--listen",
            f"127.0.0.1:{here}",
            "--pieces",
            "1",
            "--latency",
            "1ms",
            "--seconds",
            "1",
            "--json",
        )
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith(f"127.0.0.1:{here} leads to 127.0.0.1:{there}")
    counts = json.loads(outcome.out.splitlines()[-1])
    assert counts["connections"] >= 1 and counts["slice"] >= 1


def test_an_address_that_is_none_is_told() -> None:
    outcome = edgekit_run("dev", "chaos", "pi")
    assert outcome.code == 2 and "expected HOST:PORT, got 'pi'" in outcome.message
