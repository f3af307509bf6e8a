/* Inputs in, one run, outputs out. */

#include <string.h>

#include "edge_agent.h"
#include "edge_crc32.h"

enum { PIECE_BYTES = EDGE_MESSAGE_BYTES - 64, TICKS_MOST = PIECE_BYTES / 5 };

void edge_forget_run(struct edge_agent *agent)
{
    agent->state = EDGE_NO_RUN;
    agent->input.state = EDGE_NOTHING;
    agent->whole = 0;
    agent->outputs_gone = 1;
    agent->summed = 0;
}

static int ran(const struct edge_agent *agent, uint32_t number)
{
    return agent->state != EDGE_NO_RUN && agent->number == number;
}

static int is_whole(const struct edge_agent *agent, uint32_t i)
{
    return (agent->whole >> i & 1U) != 0;
}

/* The first piece of an input: 0, or a code. `known`: it is there already, and nothing is to be written. */
static int begin_input(struct edge_agent *agent, const struct edge_request *request, const struct edge_end *end, int *known)
{
    uint32_t i = request->numbers[EDGE_I], number = request->numbers[EDGE_N], crc = request->numbers[EDGE_CRC];
    if (!edge_request_has(request, 1U << EDGE_LEN | 1U << EDGE_CRC | 1U << EDGE_N) || request->numbers[EDGE_LEN] != end->bytes) {
        return EDGE_BAD;
    }
    if (ran(agent, number)) { /* its output may lie where this input was */
        *known = 1;
        return agent->crcs[i] == crc ? 0 : EDGE_OTHER_RUN;
    }
    if (number != agent->frame) {
        agent->frame = number;
        agent->whole = 0;
        agent->input.state = EDGE_NOTHING;
    }
    agent->outputs_gone = 1;
    *known = is_whole(agent, i) && agent->crcs[i] == crc;
    if (!*known && (agent->input_at != i || !edge_upload_same(&agent->input, request))) {
        agent->whole &= ~(1U << i);
        agent->input_at = i;
        edge_upload_begin(&agent->input, request, (uint8_t *)agent->memory.arena + end->at);
    }
    return 0;
}

int edge_put_input(struct edge_agent *agent, const struct edge_request *request, struct edge_reply *reply)
{
    uint32_t i = request->numbers[EDGE_I];
    if (agent->taken == NULL) {
        return EDGE_NO_TABLE;
    }
    const struct edge_end *end = edge_table_input(agent->table.at, i);
    if (end == NULL) {
        return EDGE_BAD;
    }
    int known = 0;
    if (request->numbers[EDGE_OFF] == 0) {
        int code = begin_input(agent, request, end, &known);
        if (code != 0) {
            return code;
        }
    }
    if (known || is_whole(agent, i)) {
        edge_reply_number(reply, "off", end->bytes);
        return 0;
    }
    if (agent->input_at != i || agent->input.state == EDGE_NOTHING) {
        agent->expected = 0;
        return EDGE_OFFSET;
    }
    int code = edge_upload_take(&agent->input, request);
    agent->expected = agent->input.have;
    if (code == 0 && agent->input.state == EDGE_WHOLE) {
        agent->whole |= 1U << i;
        agent->crcs[i] = agent->input.crc;
        agent->input.state = EDGE_NOTHING;
    }
    edge_reply_number(reply, "off", agent->expected);
    return code;
}

int edge_start(struct edge_agent *agent, const struct edge_request *request, struct edge_reply *reply)
{
    uint32_t number = request->numbers[EDGE_N], from = request->numbers[EDGE_FROM], to = request->numbers[EDGE_TO];
    if (!ran(agent, number)) {
        if (agent->state == EDGE_RUNNING) {
            return EDGE_BUSY;
        }
        if (agent->taken == NULL) {
            return EDGE_NO_TABLE;
        }
        if (agent->frame != number || agent->whole != (1U << agent->taken->inputs) - 1U) {
            return EDGE_NO_INPUT;
        }
        if (from >= to || to > agent->taken->operators ||
            edge_run_begin(&agent->run, agent->table.at, &agent->memory, (uint16_t)from, (uint16_t)to) != 0) {
            return EDGE_BAD;
        }
        memset(agent->ticks, 0, 4U * agent->taken->operators);
        agent->number = number;
        agent->state = EDGE_RUNNING;
        agent->outputs_gone = 0;
        agent->summed = 0;
    }
    edge_reply_number(reply, "n", agent->number);
    edge_reply_number(reply, "state", agent->state);
    edge_reply_number(reply, "op", agent->run.next);
    return 0;
}

int edge_agent_step(struct edge_agent *agent)
{
    if (agent->state != EDGE_RUNNING) {
        return 0;
    }
    uint16_t op = agent->run.next;
    uint32_t begin = agent->board->ticks();
    uint16_t left = edge_run_step(&agent->run);
    agent->ticks[op] = agent->board->ticks() - begin;
    if (left == 0) {
        agent->state = EDGE_DONE;
    }
    return left != 0;
}

int edge_get_output(struct edge_agent *agent, const struct edge_request *request, struct edge_reply *reply)
{
    uint32_t i = request->numbers[EDGE_I], off = request->numbers[EDGE_OFF];
    if (agent->taken == NULL) {
        return EDGE_NO_TABLE;
    }
    if (!ran(agent, request->numbers[EDGE_N]) || agent->outputs_gone) {
        return EDGE_OTHER_RUN;
    }
    const struct edge_end *end = edge_table_output(agent->table.at, i);
    if (end == NULL || off > end->bytes) {
        return EDGE_BAD;
    }
    const uint8_t *data = (const uint8_t *)agent->memory.arena + end->at;
    if (agent->summed != i + 1U) {
        agent->sum = edge_crc32(0, data, end->bytes);
        agent->summed = i + 1U;
    }
    uint32_t left = end->bytes - off;
    edge_reply_number(reply, "off", off);
    edge_reply_bytes(reply, "data", data + off, left < PIECE_BYTES ? left : PIECE_BYTES);
    edge_reply_number(reply, "len", end->bytes);
    edge_reply_number(reply, "crc", agent->sum);
    return 0;
}

int edge_profile(struct edge_agent *agent, const struct edge_request *request, struct edge_reply *reply)
{
    uint32_t off = request->numbers[EDGE_OFF];
    if (agent->taken == NULL) {
        return EDGE_NO_TABLE;
    }
    if (agent->state != EDGE_DONE) {
        return EDGE_OTHER_RUN;
    }
    if (off > agent->taken->operators) {
        return EDGE_BAD;
    }
    uint32_t left = agent->taken->operators - off;
    edge_reply_number(reply, "off", off);
    edge_reply_list(reply, "ticks", agent->ticks + off, left < TICKS_MOST ? left : TICKS_MOST);
    return 0;
}
