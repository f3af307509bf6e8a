/* Who the board is, and what it holds: table, weights, memory. */

#include "edge_agent.h"

#include <string.h>

#include "edge_blob.h"

#ifndef EDGE_VERSION
#define EDGE_VERSION "unknown"
#endif

static uint32_t aligned(uint32_t bytes)
{
    return (bytes + 3U) & ~3U;
}

/* Bytes of the pool that an upload takes. */
static uint32_t taken_by(const struct edge_upload *upload)
{
    return upload->state == EDGE_NOTHING ? 0 : aligned(upload->bytes);
}

void edge_agent_open(struct edge_agent *agent, const struct edge_board *board)
{
    memset(agent, 0, sizeof *agent);
    agent->board = board;
    agent->memory.arena = (int8_t *)board->pool;
    if (board->flash_bytes > 0 && edge_blob_check(board->flash, board->flash_bytes) == 0) {
        agent->memory.flash = board->flash;
    }
    edge_forget_run(agent);
}

int edge_hello(struct edge_agent *agent, const struct edge_request *request, struct edge_reply *reply)
{
    const struct edge_board *board = agent->board;
    const struct edge_blob *blob = (const struct edge_blob *)(const void *)agent->memory.flash;
    (void)request;
    edge_reply_number(reply, "proto", EDGE_PROTOCOL);
    edge_reply_number(reply, "abi", EDGE_ABI);
    edge_reply_text(reply, "fw", "edgekit " EDGE_VERSION);
    edge_reply_text(reply, "board", board->name);
    edge_reply_text(reply, "cpu", board->cpu);
#ifdef __ARM_FEATURE_DSP
    edge_reply_text(reply, "isa", "dsp");
#else
    edge_reply_text(reply, "isa", "plain");
#endif
    edge_reply_bytes(reply, "uid", board->uid, board->uid_bytes);
    edge_reply_number(reply, "boot", agent->boot);
    edge_reply_number(reply, "hz", board->hz);
    edge_reply_text(reply, "time", board->cycles ? "cycles" : "insn");
    edge_reply_number(reply, "num", board->numerator);
    edge_reply_number(reply, "den", board->denominator);
    edge_reply_number(reply, "pool", board->pool_bytes);
    edge_reply_number(reply, "flash", board->flash_bytes);
    edge_reply_number(reply, "blob", blob != NULL ? blob->crc : 0);
    edge_reply_number(reply, "chunks", blob != NULL ? blob->chunks : 0);
    edge_reply_number(reply, "table", agent->taken != NULL ? agent->table.crc : 0);
    return 0;
}

/* Forget the table that was taken, and give table and weights their places for these sizes. Whether there is room. */
static int make_room(struct edge_agent *agent, uint32_t table_bytes, uint32_t weights_bytes)
{
    uint32_t pool = agent->board->pool_bytes & ~3U;
    if (table_bytes > pool || weights_bytes > pool || aligned(table_bytes) + aligned(weights_bytes) > pool) {
        return 0;
    }
    agent->taken = NULL;
    edge_forget_run(agent);
    uint8_t *weights = agent->board->pool + pool - aligned(table_bytes) - aligned(weights_bytes);
    if (agent->weights.state != EDGE_NOTHING && weights_bytes == agent->weights.bytes) {
        memmove(weights, agent->weights.at, agent->weights.have);
    }
    agent->weights.at = weights;
    agent->table.at = agent->board->pool + pool - aligned(table_bytes);
    agent->memory.ram = agent->weights.state == EDGE_WHOLE ? weights : NULL;
    return 1;
}

/* What begins an upload: its size and sums. */
static int begins(const struct edge_request *request)
{
    const struct zcbor_string *sha = &request->texts[EDGE_SHA - EDGE_NUMBERS];
    return edge_request_has(request, 1U << EDGE_LEN | 1U << EDGE_CRC | 1U << EDGE_SHA) && sha->len == EDGE_SHA_BYTES &&
           request->numbers[EDGE_LEN] > 0;
}

/* Whether the request may go on in this upload, which then is told how far it is. */
static int take_piece(struct edge_agent *agent, struct edge_upload *upload, const struct edge_request *request, struct edge_reply *reply)
{
    int code = edge_upload_take(upload, request);
    agent->expected = upload->have;
    edge_reply_number(reply, "off", upload->have);
    return code;
}

int edge_put_table(struct edge_agent *agent, const struct edge_request *request, struct edge_reply *reply)
{
    if (request->numbers[EDGE_OFF] == 0) {
        if (!begins(request)) {
            return EDGE_BAD;
        }
        if (!edge_upload_same(&agent->table, request)) {
            uint32_t beside = agent->weights.state == EDGE_NOTHING ? 0 : agent->weights.bytes;
            if (!make_room(agent, request->numbers[EDGE_LEN], beside)) {
                return EDGE_NO_ROOM;
            }
            edge_upload_begin(&agent->table, request, agent->table.at);
        }
    }
    return take_piece(agent, &agent->table, request, reply);
}

int edge_put_weights(struct edge_agent *agent, const struct edge_request *request, struct edge_reply *reply)
{
    struct edge_upload *weights = &agent->weights;
    if (request->numbers[EDGE_OFF] == 0) {
        if (!begins(request)) {
            return EDGE_BAD;
        }
        if (!edge_upload_same(weights, request)) {
            uint8_t before = weights->state;
            weights->state = EDGE_NOTHING;
            if (!make_room(agent, agent->table.state == EDGE_NOTHING ? 0 : agent->table.bytes, request->numbers[EDGE_LEN])) {
                weights->state = before;
                return EDGE_NO_ROOM;
            }
            edge_upload_begin(weights, request, weights->at);
        }
    }
    int code = take_piece(agent, weights, request, reply);
    if (code == 0 && weights->state == EDGE_WHOLE && agent->memory.ram == NULL) {
        code = edge_blob_check(weights->at, weights->bytes);
        agent->refusal = (struct edge_refusal){.code = code, .op = EDGE_NO_CHUNK};
        weights->state = code == 0 ? EDGE_WHOLE : EDGE_NOTHING;
        agent->memory.ram = code == 0 ? weights->at : NULL;
        return code == 0 ? 0 : EDGE_BAD_TABLE;
    }
    return code;
}

static int code_of(int refusal)
{
    switch (refusal) {
    case EDGE_TABLE_ABI:
        return EDGE_OTHER_ABI;
    case EDGE_TABLE_CRC:
        return EDGE_WRONG_CRC;
    case EDGE_TABLE_ARENA:
        return EDGE_NO_ROOM;
    default:
        return EDGE_BAD_TABLE;
    }
}

/* Bytes of the pool below weights and table. */
static uint32_t free_bytes(const struct edge_agent *agent)
{
    return (agent->board->pool_bytes & ~3U) - taken_by(&agent->table) - taken_by(&agent->weights);
}

int edge_commit(struct edge_agent *agent, const struct edge_request *request, struct edge_reply *reply)
{
    uint32_t room = free_bytes(agent);
    agent->taken = NULL;
    edge_forget_run(agent);
    if (agent->table.state != EDGE_WHOLE) {
        return EDGE_NO_TABLE;
    }
    if (agent->table.crc != request->numbers[EDGE_CRC]) {
        return EDGE_WRONG_CRC;
    }
    agent->memory.arena_bytes = room;
    int refusal = edge_table_check(agent->table.at, agent->table.bytes, &agent->memory, &agent->refusal);
    if (refusal != 0 && refusal != EDGE_TABLE_MISSING) {
        return code_of(refusal);
    }
    const struct edge_table *table = (const struct edge_table *)(const void *)agent->table.at;
    edge_reply_number(reply, "arena", table->arena_bytes);
    edge_reply_number(reply, "missing", agent->refusal.missing);
    edge_reply_bytes(reply, "first", agent->refusal.first, agent->refusal.missing > 0 ? sizeof agent->refusal.first : 0);
    if (refusal == EDGE_TABLE_MISSING) {
        return 0;
    }
    uint32_t ticks_bytes = 4U * table->operators;
    if (ticks_bytes > room || table->arena_bytes > room - ticks_bytes || table->inputs > EDGE_INPUTS_MOST) {
        return EDGE_NO_ROOM;
    }
    agent->memory.arena_bytes = room - ticks_bytes;
    agent->ticks = (uint32_t *)(void *)(agent->board->pool + room - ticks_bytes);
    agent->fill = edge_request_has(request, 1U << EDGE_FILL) ? (uint8_t)request->numbers[EDGE_FILL] : (uint8_t)EDGE_PAINT;
    memset(agent->ticks, 0, ticks_bytes);
    memset(agent->board->pool, agent->fill, agent->memory.arena_bytes);
    agent->taken = table;
    return 0;
}

static uint32_t touched(const struct edge_agent *agent)
{
    uint32_t n = agent->taken != NULL ? agent->memory.arena_bytes : 0;
    while (n > 0 && agent->board->pool[n - 1] == agent->fill) {
        n--;
    }
    return n;
}

int edge_memory_use(struct edge_agent *agent, const struct edge_request *request, struct edge_reply *reply)
{
    const struct edge_board *board = agent->board;
    uint32_t unused = 0;
    (void)request;
    while (unused < board->stack_bytes / 4U && board->stack[unused] == EDGE_PAINT) {
        unused++;
    }
    edge_reply_number(reply, "arena", agent->taken != NULL ? agent->taken->arena_bytes : 0);
    edge_reply_number(reply, "touched", touched(agent));
    edge_reply_number(reply, "stack", board->stack_bytes);
    edge_reply_number(reply, "stack_most", board->stack_bytes - 4U * unused);
    edge_reply_number(reply, "data", board->data_bytes);
    edge_reply_number(reply, "bss", board->bss_bytes);
    edge_reply_number(reply, "text", board->text_bytes);
    edge_reply_number(reply, "pool", board->pool_bytes);
    edge_reply_number(reply, "lost", agent->lost);
    edge_reply_number(reply, "dropped", agent->dropped != NULL ? *agent->dropped : 0);
    return 0;
}

void edge_explain(const struct edge_agent *agent, enum edge_code code, struct edge_reply *reply)
{
    if (code == EDGE_OFFSET) {
        edge_reply_number(reply, "off", agent->expected);
    } else if (code == EDGE_BAD_TABLE) {
        edge_reply_number(reply, "why", (uint32_t)-agent->refusal.code);
        edge_reply_number(reply, "op", agent->refusal.op);
    }
}
