"""The verbs of a board over its line, and over lines that are noisy, late, chatty, deaf or not a board's."""

import os
from pathlib import Path

import pytest

from edgekit.errors import DeviceError
from edgekit.runtime.serial_line import smp_line
from edgekit.runtime.serial_line.board_line import BoardLine
from edgekit.runtime.serial_line.serial_port import LostBoard
from edgekit.runtime.serial_line.smp_line import RefusedRequest
from tests.runtime.serial_line.board import at, table

IMAGE = bytes(range(256)) * 4
ANSWER = bytes((each + 1) % 256 for each in IMAGE)
TABLE = table((len(IMAGE),), (len(IMAGE),))


@pytest.fixture
def port(tmp_path: Path) -> Path:
    return tmp_path / "board0"


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is short."""
    monkeypatch.setattr(smp_line, "SILENCE_S", (0.15, 0.3))


def whole_run(line: BoardLine, number: int = 7) -> bytes:
    line.hello()
    line.put_table(TABLE)
    line.commit(TABLE)
    line.put_input(0, IMAGE, number)
    line.run(number, 0, 2)
    return line.get_output(0, number)


def test_a_board_says_what_it_is(port: Path) -> None:
    with at(port), BoardLine(str(port)) as line:
        facts = line.hello()
    assert (facts.board, facts.cpu, facts.uid, facts.firmware) == ("bench-board", "Cortex-M4", "00112233", "1.2.3")
    assert (facts.hz, facts.time, facts.num, facts.den, facts.buf_bytes) == (25_000_000, "insn", 5, 8, 300)
    assert facts.port == str(port)


@pytest.mark.parametrize("manner", [{}, {"buf": 4000}, {"polls": 3}, {"late": 1}, {"chatty": 1}, {"forgetful": 1}])
def test_a_table_and_an_input_give_the_output(port: Path, manner: dict[str, int]) -> None:
    with at(port, **manner), BoardLine(str(port)) as line:
        assert whole_run(line) == ANSWER
        assert line.repeats == 0


@pytest.mark.parametrize("manner", [{"forgets": 9}, {"noise": 700}, {"noise": 700, "buf": 1000, "late": 1}])
def test_what_is_lost_or_damaged_is_asked_again(port: Path, hurried: None, manner: dict[str, int]) -> None:
    with at(port, **manner), BoardLine(str(port)) as line:
        assert whole_run(line) == ANSWER
        assert line.repeats > 0


def test_text_of_the_board_is_told_and_skipped(port: Path) -> None:
    told: list[str] = []
    with at(port, chatty=1), BoardLine(str(port), told.append) as line:
        line.hello()
    assert any("hello from the sensor" in text for text in told) and any("42 degrees" in text for text in told)


def test_an_upload_goes_on_where_it_was_interrupted(port: Path) -> None:
    blob = os.urandom(3000)
    with at(port, forgets=6) as board:
        with BoardLine(str(port)) as line, pytest.MonkeyPatch.context() as patch:
            patch.setattr(smp_line, "ATTEMPTS", 1)
            line.hello()
            with pytest.raises(LostBoard):
                for _ in range(20):
                    line.ask(0, {}, write=False, attempts=1)
        assert board.poll() is None
        with BoardLine(str(port)) as line:
            line.hello()
            line.put_weights(blob)
            asked = line.asked
            line.put_weights(blob)
            assert line.asked == asked + 1


def test_a_run_is_done_once_and_its_outputs_are_its_own(port: Path) -> None:
    with at(port), BoardLine(str(port)) as line:
        whole_run(line, 7)
        line.run(7, 0, 2)
        with pytest.raises(RefusedRequest, match="the outputs are of another run"):
            line.get_output(0, 6)
        with pytest.raises(RefusedRequest, match="an input is missing"):
            line.run(8, 0, 2)


def test_times_and_memory_are_told(port: Path) -> None:
    with at(port), BoardLine(str(port)) as line:
        whole_run(line)
        assert line.profile(2) == (1600, 3200)
        assert line.memory().arena == 64 and line.memory().pool == 71


def test_a_reset_board_has_another_boot_and_no_table(port: Path) -> None:
    with at(port), BoardLine(str(port)) as line:
        whole_run(line)
        before = line.hello()
        line.reset()
        after = line.hello()
        assert before.table and not after.table and before.boot != after.boot
        with pytest.raises(RefusedRequest, match="no table was taken"):
            line.run(8, 0, 2)


def test_a_table_that_is_refused_tells_the_check(port: Path) -> None:
    with at(port, refuses=1), BoardLine(str(port)) as line:
        line.hello()
        line.put_table(TABLE)
        with pytest.raises(RefusedRequest, match=r"the board refuses the table \(why 11, op 3\)"):
            line.commit(TABLE)


def test_weights_that_do_not_fit_are_refused(port: Path) -> None:
    with at(port), BoardLine(str(port)) as line:
        line.hello()
        with pytest.raises(RefusedRequest, match="it does not fit into the memory of the board"):
            line.put_weights(bytes(70_000))


def test_a_board_that_never_answers_is_given_up(port: Path, hurried: None) -> None:
    with at(port, deaf=1), BoardLine(str(port)) as line, pytest.raises(LostBoard, match="no board answers; is it powered"):
        line.hello(attempts=2)


def test_gibberish_is_another_programs(port: Path, hurried: None) -> None:
    with at(port, gibberish=1), BoardLine(str(port)) as line, pytest.raises(LostBoard, match=r"got 'T=21.5 RH=40'; another program runs"):
        line.hello(attempts=3)


def test_firmware_of_another_abi_is_refused(port: Path) -> None:
    with at(port, abi=9), BoardLine(str(port)) as line, pytest.raises(DeviceError, match="ABI 1 and protocol 1, got ABI 9 .*flash"):
        line.hello()


def test_mcumgr_of_another_program_is_refused(port: Path) -> None:
    with at(port, foreign=1), BoardLine(str(port)) as line, pytest.raises(DeviceError, match="answers, but not with edgekit's firmware"):
        line.hello()


def test_a_board_that_is_unplugged_while_reading_is_lost(port: Path) -> None:
    with at(port, deaf=1) as board, BoardLine(str(port)) as line:
        line.port.write(b"x")
        board.kill()
        with pytest.raises(LostBoard, match="the line to the board is cut .*is it unplugged"):
            line.hello()
