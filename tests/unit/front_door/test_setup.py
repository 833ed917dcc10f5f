"""The functions of bin/setup, called one by one in a copy of it; the whole of it runs on fresh machines in CI."""

from __future__ import annotations

import os
import shutil
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with nothing but the script, its lists, and this test's interpreter as virtual environment."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "build" / "setup").mkdir(parents=True)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    # Its pip installs nothing, whatever a test makes of it.
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text(f"""#!/bin/sh\n[ "$2" != pip ] || exit 9\nexec {sys.executable} "$@"\n""")
    python.chmod(0o755)
    for file in ("bin/setup", "bin/packages.txt", "requirements.txt"):
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def call(checkout: Path, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Source the copy, then run ``script`` in the same shell."""
    return subprocess.run(
        ["bash", "-c", f"source bin/setup\n{script}"],
        cwd=checkout,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def interpreter(folder: Path, name: str, says: str) -> Path:
    """A program that answers as an interpreter would."""
    program = folder / name
    program.write_text(f"#!/bin/sh\n{says}\n")
    program.chmod(0o755)
    return program


def candidates(*programs: Path) -> str:
    listed = " ".join(str(program) for program in programs)
    return f"python_candidates() {{ printf '%s\\n' {listed}; }}\n"


def test_this_interpreter_is_described(checkout: Path) -> None:
    said = call(checkout, f"python_describe {sys.executable}").stdout.split()
    assert said[:3] == [str(sys.version_info.minor), str(sys.version_info.micro), "complete"]


def test_the_newest_complete_interpreter_is_taken(checkout: Path) -> None:
    old = interpreter(checkout, "old", "echo 12 9 complete /old")
    new = interpreter(checkout, "new", "echo 13 2 complete /new")
    bare = interpreter(checkout, "bare", "echo 14 0 bare /home/bare")
    dead = interpreter(checkout, "dead", "exit 127")
    assert call(checkout, candidates(old, new, bare, dead) + "require_python").stdout == "/new\n"


def test_a_bare_system_python_gets_its_venv_package(checkout: Path) -> None:
    bare = interpreter(
        checkout, "bare", "test -e installed && echo 13 5 complete /usr/bin/p || echo 13 5 bare /usr/bin/p"
    )
    stub = 'install_packages() { echo "asked for $*" >&2; touch installed; }\n'
    done = call(checkout, candidates(bare) + stub + "require_python")
    assert done.stdout == "/usr/bin/p\n"
    assert "asked for python3.13-venv" in done.stderr


def test_no_interpreter_is_one_sentence_that_names_the_package(checkout: Path) -> None:
    (checkout / ".venv" / "bin" / "python").unlink()
    done = call(checkout, candidates(interpreter(checkout, "dead", "exit 127")) + "ensure_venv")
    assert done.returncode == 1
    assert "no Python 3.12 or newer" in done.stderr
    assert "install python3.13-venv (Debian 13)" in done.stderr
    assert not (checkout / ".venv" / "requirements.sha256").exists()


def test_an_interpreter_that_is_no_environment_is_not_installed_into(checkout: Path) -> None:
    python = checkout / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(Path(sys.executable).resolve())
    done = call(checkout, candidates(interpreter(checkout, "new", "echo 13 2 complete /new")) + "ensure_venv")
    assert "making the virtual environment with /new" in done.stdout


def test_nothing_is_installed_while_the_pins_stay_the_same(checkout: Path) -> None:
    stub = "with_progress() { echo installs; }\n"
    assert "installs" in call(checkout, stub + "ensure_venv").stdout
    assert call(checkout, stub + "ensure_venv").stdout == ""
    with (checkout / "requirements.txt").open("a") as file:
        file.write("another==1.0\n")
    assert "installs" in call(checkout, stub + "ensure_venv").stdout


def test_a_failed_install_leaves_no_stamp(checkout: Path) -> None:
    done = call(checkout, "with_progress() { return 1; }\nensure_venv")
    assert done.returncode == 1
    assert "Next: read build/setup/pip.log" in done.stderr
    assert not (checkout / ".venv" / "requirements.sha256").exists()


def test_a_failing_command_shows_the_end_of_its_log(checkout: Path) -> None:
    done = call(checkout, "with_progress 'trying' try bash -c 'seq 100; echo bad news; exit 3' || echo noticed")
    assert done.stdout == "noticed\n"
    assert "bad news" in done.stderr
    assert "\n1\n" not in done.stderr
    assert "bad news" in (checkout / "build" / "setup" / "try.log").read_text()


def test_only_missing_packages_are_installed(checkout: Path) -> None:
    stub = 'is_installed() { [ "$1" = make ]; }\nas_root() { echo "$*" >>asked; }\n'
    assert call(checkout, stub + "install_packages make").returncode == 0
    assert not (checkout / "asked").exists()
    assert call(checkout, stub + "install_packages make mmdebstrap; install_packages git").returncode == 0
    asked = (checkout / "asked").read_text().splitlines()
    assert [line.split(" install ")[-1] for line in asked] == ["apt-get -q update", "mmdebstrap", "git"]


def test_without_root_and_sudo_the_step_is_named(checkout: Path) -> None:
    stub = "id() { echo 1000; }\ncommand() { return 1; }\n"
    done = call(checkout, stub + "as_root apt-get update")
    assert done.returncode == 1
    assert "needs root, and there is no sudo: apt-get update" in done.stderr


class _Engine(socketserver.StreamRequestHandler):
    answer = b""

    def handle(self) -> None:
        self.rfile.readline()
        self.wfile.write(self.answer)


@contextmanager
def engine(path: Path, answer: bytes) -> Iterator[None]:
    handler = type("Handler", (_Engine,), {"answer": answer})
    with socketserver.UnixStreamServer(str(path), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield
        server.shutdown()


@pytest.mark.parametrize(
    ("answer", "answers"),
    [(b"HTTP/1.0 200 OK\r\n\r\nOK", True), (b"HTTP/1.0 500 Internal Server Error\r\n\r\n", False), (b"", False)],
)
def test_an_engine_is_asked(checkout: Path, answer: bytes, answers: bool) -> None:
    socket = checkout / "e.sock"
    with engine(socket, answer):
        done = call(checkout, "engine_answers", DOCKER_HOST=f"unix://{socket}")
    assert (done.returncode == 0) is answers


def test_a_socket_without_engine_does_not_answer(checkout: Path) -> None:
    assert call(checkout, "engine_answers", DOCKER_HOST=f"unix://{checkout}/none.sock").returncode != 0


def test_an_engine_elsewhere_is_refused(checkout: Path) -> None:
    done = call(checkout, "ensure_engine", DOCKER_HOST="tcp://192.0.2.1:2375")
    assert done.returncode == 1
    assert "DOCKER_HOST is tcp://192.0.2.1:2375" in done.stderr


def test_an_engine_that_never_comes_up_is_told_with_its_last_words(checkout: Path) -> None:
    stub = (
        "wait_for_engine() { return 1; }\nstart_engine() { :; }\n"
        "install_packages() { :; }\nengine_answers() { return 1; }\n"
    )
    (checkout / "build" / "setup" / "dockerd.log").write_text(
        "level=info msg=hello\nfailed to start daemon: no iptables\n"
    )
    done = call(checkout, stub + "ensure_engine", DOCKER_HOST=f"unix://{checkout}/none.sock")
    assert done.returncode == 1
    assert "failed to start daemon: no iptables" in done.stderr
    assert "Next: read build/setup/dockerd.log" in done.stderr
