/* Runs the operators of a table one after the other, in the arena of the caller. */

#ifndef EDGE_EXECUTOR_H
#define EDGE_EXECUTOR_H

#include <stdint.h>

#include "edge_table.h"

/* A run of operators [next, stop) that is under way. */
struct edge_run {
    const uint8_t *table;
    const struct edge_memory *memory;
    const uint8_t *at; /* the operator that comes next */
    uint16_t next;
    uint16_t stop;
};

/* A clock that counts up and wraps at 2^32; NULL: none. */
typedef uint32_t (*edge_ticks)(void);

/* Begin to run operators [from, to) of a table that was checked against `memory`; both have to outlive the run.
   0, or EDGE_TABLE_RANGE where the table has no such operators. */
int edge_run_begin(struct edge_run *run, const uint8_t *table, const struct edge_memory *memory, uint16_t from, uint16_t to);

/* Run one operator; the caller may do something else before the next one. How many are left after it. */
uint16_t edge_run_step(struct edge_run *run);

/* Run all that are left. `ticks`, where not NULL, gets the time of operator i at index i. */
void edge_run_rest(struct edge_run *run, edge_ticks now, uint32_t *ticks);

#endif
