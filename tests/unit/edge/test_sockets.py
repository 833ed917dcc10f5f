"""Connections counted from the kernel's own tables."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time

import pytest

from plugins.module_utils.gateway.sockets import DrainResult, total, wait_all_drained, wait_drained


def connected(family: socket.AddressFamily, address: str) -> tuple[socket.socket, socket.socket, int]:
    with socket.socket(family) as listener:
        listener.bind((address, 0))
        listener.listen()
        port = int(listener.getsockname()[1])
        client = socket.create_connection((address, port))
        server, _ = listener.accept()
    return client, server, port


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_counts_the_serving_side_only(family: socket.AddressFamily, address: str) -> None:
    client, server, port = connected(family, address)
    with client, server:
        assert wait_drained(os.getpid(), {port}, 0).left == 1
        assert wait_drained(os.getpid(), {int(client.getsockname()[1])}, 0).left == 1
        assert wait_drained(os.getpid(), {1}, 0).left == 0
    assert wait_drained(os.getpid(), {port}, 0).left == 0


def test_listening_is_not_established() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert wait_drained(os.getpid(), {listener.getsockname()[1]}, 0).left == 0


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_connection_that_the_neighbour_has_is_counted(family: socket.AddressFamily, address: str) -> None:
    client, server, port = connected(family, address)
    with client, server:
        assert wait_drained(os.getpid(), {port}, 0, {address: os.getpid()}).left == 1


def test_nobody_is_accused_who_cannot_be_asked() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    client, server, port = connected(socket.AF_INET, "127.0.0.1")
    with client, server:
        assert wait_drained(os.getpid(), {port}, 0, {"127.0.0.1": ended.pid}).left == 1


def test_a_server_for_both_families_knows_its_neighbour() -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        port = int(listener.getsockname()[1])
        with socket.create_connection(("127.0.0.1", port)):
            server, _ = listener.accept()
            with server:
                assert wait_drained(os.getpid(), {port}, 0, {"127.0.0.1": os.getpid()}).left == 1


def test_drain_waits_for_the_last_connection() -> None:
    client, server, port = connected(socket.AF_INET, "127.0.0.1")

    def end() -> None:
        time.sleep(0.4)
        client.close()
        server.close()

    thread = threading.Thread(target=end)
    thread.start()
    result = wait_drained(os.getpid(), {port}, 5)
    thread.join()
    assert (result.first, result.left) == (1, 0)
    assert 0.4 <= result.seconds < 3


def test_drain_says_what_is_left_at_its_limit() -> None:
    client, server, port = connected(socket.AF_INET, "127.0.0.1")
    with client, server:
        result = wait_drained(os.getpid(), {port}, 0.2)
    assert (result.first, result.left) == (1, 1)
    assert result.seconds >= 0.2


def test_process_that_ended_has_drained() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert wait_drained(ended.pid, {80}, 5).left == 0


def test_several_drains_as_one() -> None:
    assert total([DrainResult(1.5, 0, 3), DrainResult(2.5, 1, 2)]) == DrainResult(2.5, 1, 5)
    assert total([]) == DrainResult(0.0, 0, 0)


def test_one_limit_holds_for_all() -> None:
    client, server, port = connected(socket.AF_INET, "127.0.0.1")
    with client, server:
        result = wait_all_drained([os.getpid()] * 3, {port}, 0.3)
    assert (result.first, result.left) == (3, 3)
    assert 0.3 <= result.seconds < 0.6
