/* Which request leads where: group 0 of MCUmgr, and our own. */

#include "edge_agent.h"

#define HAS(field) (1U << (field))

enum { GROUP_0_ECHO = 0, GROUP_0_RESET = 5, GROUP_0_PARAMETERS = 6 };
enum { SMP_INVALID = 3, SMP_UNSUPPORTED = 8 };
enum { HELLO = 0, RUN = 5 };

typedef int (*answer_to)(struct edge_agent *, const struct edge_request *, struct edge_reply *);

struct command {
    answer_to answer;
    uint8_t op;
    uint32_t needs; /* fields, but for what is needed at offset 0 only */
};

static const struct command COMMANDS[] = {
    {edge_hello, EDGE_READ, 0},
    {edge_put_table, EDGE_WRITE, HAS(EDGE_OFF) | HAS(EDGE_DATA)},
    {edge_put_weights, EDGE_WRITE, HAS(EDGE_OFF) | HAS(EDGE_DATA)},
    {edge_commit, EDGE_WRITE, HAS(EDGE_CRC)},
    {edge_put_input, EDGE_WRITE, HAS(EDGE_I) | HAS(EDGE_OFF) | HAS(EDGE_DATA)},
    {edge_start, EDGE_WRITE, HAS(EDGE_N) | HAS(EDGE_FROM) | HAS(EDGE_TO)},
    {edge_get_output, EDGE_READ, HAS(EDGE_I) | HAS(EDGE_OFF) | HAS(EDGE_N)},
    {edge_profile, EDGE_READ, HAS(EDGE_OFF)},
    {edge_memory_use, EDGE_READ, 0},
};

/* Of MCUmgr's own group: 0, or a code of SMP. */
static uint32_t answer_group_0(struct edge_agent *agent, const struct edge_request *request, struct edge_reply *reply)
{
    const struct zcbor_string *text = &request->texts[EDGE_TEXT - EDGE_NUMBERS];
    if (request->id == GROUP_0_ECHO && request->op == EDGE_WRITE) {
        if (!edge_request_has(request, HAS(EDGE_TEXT))) {
            return SMP_INVALID;
        }
        edge_reply_string(reply, "r", text->value, (uint32_t)text->len);
        return 0;
    }
    if (request->id == GROUP_0_RESET && request->op == EDGE_WRITE) {
        agent->reset = 1;
        return 0;
    }
    if (request->id == GROUP_0_PARAMETERS && request->op == EDGE_READ) {
        edge_reply_number(reply, "buf_size", EDGE_MESSAGE_BYTES);
        edge_reply_number(reply, "buf_count", 1);
        return 0;
    }
    return SMP_UNSUPPORTED;
}

static int answer_ours(struct edge_agent *agent, const struct edge_request *request, struct edge_reply *reply)
{
    const struct command *command = &COMMANDS[request->id];
    if (!edge_request_has(request, command->needs)) {
        return EDGE_BAD;
    }
    if (agent->state == EDGE_RUNNING && request->id != HELLO && request->id != RUN) {
        return EDGE_BUSY;
    }
    return command->answer(agent, request, reply);
}

uint32_t edge_agent_answer(struct edge_agent *agent, const uint8_t *message, uint32_t bytes, uint8_t *data)
{
    struct edge_request request;
    struct edge_reply reply;
    int read = edge_request_read(&request, message, bytes);
    if (read == EDGE_MESSAGE_FOREIGN) {
        return 0;
    }
    edge_reply_open(&reply, data, EDGE_REPLY_BYTES);
    uint32_t wrong = 0;
    if (read != 0) {
        wrong = SMP_INVALID;
    } else if (request.group == 0) {
        wrong = answer_group_0(agent, &request, &reply);
    } else if (request.group == EDGE_GROUP && request.id < sizeof COMMANDS / sizeof COMMANDS[0] && request.op == COMMANDS[request.id].op) {
        int code = answer_ours(agent, &request, &reply);
        if (code > 0) {
            edge_reply_error(&reply, EDGE_GROUP, (uint32_t)code);
            edge_explain(agent, (enum edge_code)code, &reply);
        }
    } else {
        wrong = SMP_UNSUPPORTED;
    }
    if (wrong != 0) {
        edge_reply_error(&reply, 0, wrong);
    }
    return edge_reply_end(&reply, &request);
}
