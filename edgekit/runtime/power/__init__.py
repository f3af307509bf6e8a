"""Meters of power and energy of the machine that it runs on: modules of the standard library alone.

One file for each kind of meter; ``finding`` knows them by name. A meter tells the watts, or the joules since some time
in the past, of its rails; ``recording`` reads it for a while, ``summing`` adds up, and ``spending`` says what work took.
"""
