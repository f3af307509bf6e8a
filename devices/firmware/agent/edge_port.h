/* What a board gives to the agent: a line, a clock, a reset. A port is these functions; startup and linker script are shared. */

#ifndef EDGE_PORT_H
#define EDGE_PORT_H

#include <stdint.h>

/* What is known when it runs. */
struct edge_port_facts {
    uint32_t hz;
    uint32_t numerator; /* instructions or cycles = ticks * numerator / denominator */
    uint32_t denominator;
    int cycles;
    const uint8_t *uid;
    uint32_t uid_bytes;
};

/* Set clocks, line and timer. */
struct edge_port_facts edge_port_open(void);

/* The next byte that came, or -1. */
int edge_port_read(void);

/* Send bytes; it waits until the line has taken them. */
void edge_port_write(const uint8_t *data, uint32_t bytes);

/* A counter that wraps at 2^32. */
uint32_t edge_port_ticks(void);

/* Sleep until something happens, unless a byte has come. */
void edge_port_wait(void);

/* How many bytes came faster than they were read. */
uint32_t edge_port_lost(void);

/* Begin anew; it does not return. */
void edge_port_reset(void);

#endif
