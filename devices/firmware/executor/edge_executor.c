#include "edge_executor.h"

#include <stddef.h>

#include "edge_operator.h"

static const uint8_t *edge_after(const uint8_t *at)
{
    return at + 4U * ((const struct edge_operator *)(const void *)at)->words;
}

int edge_run_begin(struct edge_run *run, const uint8_t *table, const struct edge_memory *memory, uint16_t from, uint16_t to)
{
    if (from > to || to > ((const struct edge_table *)(const void *)table)->operators) {
        return EDGE_TABLE_RANGE;
    }
    run->table = table;
    run->memory = memory;
    run->next = from;
    run->stop = to;
    run->at = edge_table_operators(table);
    for (uint32_t i = 0; i < from; i++) {
        run->at = edge_after(run->at);
    }
    return 0;
}

uint16_t edge_run_step(struct edge_run *run)
{
    if (run->next < run->stop) {
        const union edge_any_operator *op = (const union edge_any_operator *)(const void *)run->at;
        edge_operator_run(op, run->memory->arena, edge_table_chunk(run->table, op->head.chunk, run->memory));
        run->at = edge_after(run->at);
        run->next++;
    }
    return (uint16_t)(run->stop - run->next);
}

void edge_run_rest(struct edge_run *run, edge_ticks now, uint32_t *ticks)
{
    while (run->next < run->stop) {
        uint16_t op = run->next;
        uint32_t begin = now != NULL ? now() : 0U;
        (void)edge_run_step(run);
        if (now != NULL && ticks != NULL) {
            ticks[op] = now() - begin;
        }
    }
}
