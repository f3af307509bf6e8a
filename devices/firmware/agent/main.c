/* The firmware: what comes over the line goes to the agent, and its answers go back. */

#include "edge_agent.h"
#include "edge_frames.h"
#include "edge_memory_map.h"
#include "edge_port.h"

#ifndef EDGE_BOARD
#define EDGE_BOARD "unknown"
#endif
#ifndef EDGE_CPU
#define EDGE_CPU "unknown"
#endif

static uint8_t message[EDGE_MESSAGE_BYTES + EDGE_CRC_BYTES];
static uint8_t reply[EDGE_REPLY_BYTES];
static struct edge_frames frames;
static struct edge_agent agent;
static struct edge_board board;

static void send(const uint8_t *data, uint32_t bytes)
{
    struct edge_lines lines;
    uint8_t line[EDGE_LINE_BYTES];
    uint16_t n;
    edge_lines_open(&lines, data, (uint16_t)bytes);
    while ((n = edge_lines_next(&lines, line)) > 0) {
        edge_port_write(line, n);
    }
}

/* Another number after each reset: how many there were since power came, and when the first byte came. */
static void count_boot(void)
{
    if (agent.boot == 0) {
        agent.boot = (edge_boots() * 2654435761U ^ edge_port_ticks()) | 1U;
    }
}

static void receive(uint8_t byte)
{
    count_boot();
    uint16_t bytes = edge_frames_feed(&frames, byte);
    if (bytes == 0) {
        return;
    }
    agent.lost = edge_port_lost();
    uint32_t answer = edge_agent_answer(&agent, message, bytes, reply);
    if (answer > 0) {
        send(reply, answer);
    }
    if (agent.reset) {
        edge_port_reset();
    }
}

int main(void)
{
    struct edge_port_facts facts = edge_port_open();
    board = (struct edge_board){
        .name = EDGE_BOARD,
        .cpu = EDGE_CPU,
        .hz = facts.hz,
        .numerator = facts.numerator,
        .denominator = facts.denominator,
        .cycles = facts.cycles,
        .uid = facts.uid,
        .uid_bytes = facts.uid_bytes,
        .ticks = edge_port_ticks,
    };
    edge_memory_map(&board);
    edge_frames_open(&frames, message, sizeof message);
    edge_agent_open(&agent, &board);
    agent.dropped = &frames.dropped;
    for (;;) {
        int byte = edge_port_read();
        if (byte >= 0) {
            receive((uint8_t)byte);
        } else if (!edge_agent_step(&agent)) {
            edge_port_wait();
        }
    }
}
