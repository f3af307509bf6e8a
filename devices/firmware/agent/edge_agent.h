/* The agent: answers requests, holds a table, weights and inputs in its pool, and runs the table (SPEC, section 6).

   pool   arena | ... free | ticks of operators | weights | table

   TABLE          COMMIT          IN, all of frame n         RUN n            RUN n, OUT n
   ------> whole ------> taken ----------------------> ready -------> running ------------> done
                  ^                                                                          |
                  +------------------------------ IN of another frame -----------------------+ */

#ifndef EDGE_AGENT_H
#define EDGE_AGENT_H

#include <stdint.h>

#include "edge_executor.h"
#include "edge_message.h"
#include "edge_table.h"
#include "edge_upload.h"

enum { EDGE_PROTOCOL = 1, EDGE_GROUP = 64, EDGE_INPUTS_MOST = 8 };

enum edge_code {
    EDGE_BAD = 1,
    EDGE_BUSY = 2,
    EDGE_NO_ROOM = 3,
    EDGE_WRONG_CRC = 4,
    EDGE_OTHER_ABI = 5,
    EDGE_BAD_TABLE = 6,
    EDGE_NO_TABLE = 7,
    EDGE_NO_INPUT = 8,
    EDGE_OFFSET = 9,
    EDGE_OTHER_RUN = 10
};

/* What the board is; its port and its linker script know. */
struct edge_board {
    const char *name;
    const char *cpu;
    uint32_t hz;
    uint32_t numerator; /* instructions or cycles = ticks * numerator / denominator */
    uint32_t denominator;
    int cycles; /* the clock counts cycles, not instructions */
    const uint8_t *uid;
    uint32_t uid_bytes;
    uint8_t *pool; /* at a multiple of 4 */
    uint32_t pool_bytes;
    const uint8_t *flash; /* where a blob may lie */
    uint32_t flash_bytes;
    const uint32_t *stack; /* its lowest word; painted with EDGE_PAINT where it was not used */
    uint32_t stack_bytes;
    uint32_t data_bytes;
    uint32_t bss_bytes;
    uint32_t text_bytes;
    uint32_t (*ticks)(void);
};

#define EDGE_PAINT 0xA5A5A5A5U

enum edge_run_state { EDGE_NO_RUN, EDGE_RUNNING, EDGE_DONE };

struct edge_agent {
    const struct edge_board *board;
    uint32_t boot;
    uint32_t lost;           /* bytes that came faster than they were read */
    const uint32_t *dropped; /* frames that were damaged */
    struct edge_upload table;
    struct edge_upload weights;
    struct edge_memory memory;
    const struct edge_table *taken; /* or NULL */
    uint32_t *ticks;
    uint8_t fill;

    struct edge_upload input; /* the one that is coming */
    uint32_t input_at;        /* its number */
    uint32_t frame;           /* of the inputs */
    uint32_t whole;           /* bit i: input i is whole */
    uint32_t crcs[EDGE_INPUTS_MOST];

    struct edge_run run;
    uint8_t state;        /* of edge_run_state */
    uint8_t outputs_gone; /* an input of a later frame may lie over them */
    uint32_t number;      /* of the run */
    uint32_t summed;      /* output whose CRC-32 is known, plus 1 */
    uint32_t sum;
    uint8_t reset; /* asked for: do it when the response has gone */

    /* what is told beside an error */
    uint32_t expected; /* offset or length */
    struct edge_refusal refusal;
};

void edge_agent_open(struct edge_agent *agent, const struct edge_board *board);

/* Answer a message. How long the response is; 0: it gets none. `reply` has EDGE_REPLY_BYTES. */
enum { EDGE_REPLY_BYTES = EDGE_MESSAGE_BYTES + EDGE_HEADER_BYTES };
uint32_t edge_agent_answer(struct edge_agent *agent, const uint8_t *message, uint32_t bytes, uint8_t *reply);

/* Run one operator, where a run is under way. Whether there is more to do. */
int edge_agent_step(struct edge_agent *agent);

/* Parts of the agent: each returns 0 or an edge_code. */
int edge_hello(struct edge_agent *agent, const struct edge_request *request, struct edge_reply *reply);
int edge_put_table(struct edge_agent *agent, const struct edge_request *request, struct edge_reply *reply);
int edge_put_weights(struct edge_agent *agent, const struct edge_request *request, struct edge_reply *reply);
int edge_commit(struct edge_agent *agent, const struct edge_request *request, struct edge_reply *reply);
int edge_memory_use(struct edge_agent *agent, const struct edge_request *request, struct edge_reply *reply);
int edge_put_input(struct edge_agent *agent, const struct edge_request *request, struct edge_reply *reply);
int edge_start(struct edge_agent *agent, const struct edge_request *request, struct edge_reply *reply);
int edge_get_output(struct edge_agent *agent, const struct edge_request *request, struct edge_reply *reply);
int edge_profile(struct edge_agent *agent, const struct edge_request *request, struct edge_reply *reply);

/* Say more of an error that one of these returned. */
void edge_explain(const struct edge_agent *agent, enum edge_code code, struct edge_reply *reply);

/* Forget inputs and outputs. */
void edge_forget_run(struct edge_agent *agent);

#endif
