"""Microcontrollers: quantized segments become tables that the firmware runs, with every byte planned."""
