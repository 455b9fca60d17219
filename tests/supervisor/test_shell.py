"""`danube-step shell`: a shell with a terminal or with pipes, which leaves no process behind."""

import os
import select
import struct

import pytest

from tests.supervisor.box import SECONDS, Box, Exec, children_of
from tests.support.waiting import wait_until


def record(kind: str, text: bytes = b"") -> bytes:
    return struct.pack("<cI", kind.encode(), len(text)) + text


def size(rows: int, columns: int) -> bytes:
    return record("W", struct.pack("<HH", rows, columns))


def begin(box: Box, *records: bytes) -> Exec:
    program = box.exec("danube-step", "shell")
    os.write(program.stdin, b"".join([*records, record("S")]))
    return program


def read(program: Exec) -> bytes:
    ready, _, _ = select.select([program.stdout], [], [], SECONDS)
    assert ready, "no output and no end of it"
    return os.read(program.stdout, 65536)


def printed(program: Exec) -> bytes:
    found = b""
    while data := read(program):
        found += data
    return found


def read_until(program: Exec, text: bytes) -> bytes:
    found = b""
    while text not in found:
        data = read(program)
        assert data, found
        found += data
    return found


def test_commands_from_a_pipe_run_in_the_given_directory_with_the_given_environment(box: Box) -> None:
    program = begin(box, record("E", b"GREETING=hello"), record("D", b"/usr"))
    os.write(program.stdin, record("I", b"echo $GREETING from $PWD; cat; exit 7\n") + record("Z"))
    assert printed(program) == b"hello from /usr\n"
    assert program.exit() == ("X", 7)
    program.close()


def test_much_input_is_not_lost_before_a_slow_reader(box: Box) -> None:
    program = begin(box)
    os.write(program.stdin, record("I", b"sleep 0.2; n=0\n"))
    for _ in range(20):
        os.write(program.stdin, record("I", b"n=$((n+1)) # beyond the size of a pipe together\n" * 1000))
    os.write(program.stdin, record("I", b"echo $n\n") + record("Z"))
    assert printed(program) == b"20000\n"
    program.close()


def test_a_terminal_has_the_size_that_it_was_given_last_and_takes_control_characters(box: Box) -> None:
    program = begin(box, size(30, 100))
    os.write(program.stdin, record("I", b"exec /bin/sh\necho rea''dy\n"))  # which does not edit lines itself
    read_until(program, b"ready\r\n")
    os.write(program.stdin, record("I", b"stty size; tty\n"))
    assert b"30 100\r\n" in read_until(program, b"/dev/pts/")
    os.write(program.stdin, size(40, 120) + record("I", b"stty size\n"))
    read_until(program, b"40 120\r\n")
    os.write(program.stdin, record("I", b"sh -c \"echo beg''un; exec sleep 1000\"\n"))
    read_until(program, b"begun\r\n")  # by a process that is in the foreground, and gets the signal
    os.write(program.stdin, record("I", b"\x03"))
    read_until(program, b"^C")
    os.write(program.stdin, record("Z"))
    printed(program)
    assert program.exit() == ("X", 130)
    program.close()


@pytest.mark.parametrize("has_terminal", [False, True])
def test_the_end_of_its_connection_ends_every_process_of_the_shell(box: Box, has_terminal: bool) -> None:
    program = begin(box, *([size(24, 80)] if has_terminal else []))
    os.write(program.stdin, record("I", b"setsid sleep 1000 & (trap '' HUP; sleep 1000) & echo be''gun; wait\n"))
    read_until(program, b"begun")
    program.close()
    wait_until(lambda: children_of(box.init_pid) == [], SECONDS, "every process of the shell has ended")


def test_a_malformed_record_ends_the_shell(box: Box) -> None:
    program = begin(box)
    os.write(program.stdin, record("?"))
    printed(program)
    assert program.exit() == ("X", 2)
    program.close()
