/* The firmware as a program of this machine: its line is standard input and output. For tests, and to try a client without a board. */

#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "edge_memory_map.h"
#include "edge_port.h"

#ifndef EDGE_POOL_BYTES
#define EDGE_POOL_BYTES (1U << 20)
#endif

enum { UID_BYTES = 4 };

static uint32_t pool[EDGE_POOL_BYTES / 4U];
static uint8_t uid[UID_BYTES];
static uint8_t came[4096];
static ssize_t got, have;

struct edge_port_facts edge_port_open(void)
{
    return (struct edge_port_facts){1000000000U, 1, 1, 0, uid, UID_BYTES};
}

/* Whether bytes are there without waiting longer than that. */
static int ready(int milliseconds)
{
    struct pollfd line = {STDIN_FILENO, POLLIN, 0};
    return got < have || poll(&line, 1, milliseconds) > 0;
}

int edge_port_read(void)
{
    if (!ready(0)) {
        return -1;
    }
    if (got == have) {
        got = 0;
        have = read(STDIN_FILENO, came, sizeof came);
        if (have <= 0) {
            exit(0);
        }
    }
    return came[got++];
}

void edge_port_write(const uint8_t *data, uint32_t bytes)
{
    while (bytes > 0) {
        ssize_t n = write(STDOUT_FILENO, data, bytes);
        if (n < 0) {
            exit(1);
        }
        data += n;
        bytes -= (uint32_t)n;
    }
}

uint32_t edge_port_ticks(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)now.tv_sec * 1000000000U + (uint32_t)now.tv_nsec;
}

void edge_port_wait(void)
{
    (void)ready(-1);
}

uint32_t edge_port_lost(void)
{
    return 0;
}

void edge_port_reset(void)
{
    execl("/proc/self/exe", "firmware", (char *)NULL);
    exit(1);
}

void edge_memory_map(struct edge_board *board)
{
    board->pool = (uint8_t *)pool;
    board->pool_bytes = sizeof pool;
}

uint32_t edge_boots(void)
{
    return (uint32_t)getpid();
}
