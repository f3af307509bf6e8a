"""The line to a microcontroller: its serial port, SMP requests over it, and the verbs of a board.

    board_verbs     put table, weights and inputs; run; get outputs         what
    smp_line        one request at a time, repeated after silence           how often
    console_frames  frames from bytes, text between them skipped            in which form
    serial_port     pyserial                                                through what
    board_search    which port a board is at                                where

The only room that imports smp and pyserial. It ships to the machine that the cable is plugged into.
"""

__all__: list[str] = []
