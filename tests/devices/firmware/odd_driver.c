/* A table and its weights at begins that are no multiples of 4, and its run by a clock that wraps: table and blob are files. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge_blob.h"
#include "edge_executor.h"

enum { ROOM = 4096 };

static uint32_t arena[ROOM / 4 + 1], table[ROOM / 4 + 1], blob[ROOM / 4 + 1];

/* Each look is 10 ticks later; the first ones are just before the end of the numbers. */
static uint32_t late_ticks(void)
{
    static uint32_t now = 0xFFFFFFF3U;
    now += 10U;
    return now;
}

static uint32_t filled(uint8_t *place, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        exit(1);
    }
    size_t bytes = fread(place, 1, ROOM, file);
    (void)fclose(file);
    return (uint32_t)bytes;
}

int main(int count, char **words)
{
    if (count != 3) {
        return 1;
    }
    for (uint32_t by = 0; by < 4; by++) {
        uint8_t *weights = (uint8_t *)blob + by;
        uint32_t bytes = filled(weights, words[2]);
        printf("%d ", edge_blob_check(weights, bytes));
    }
    (void)filled((uint8_t *)blob, words[2]);
    struct edge_refusal refusal;
    for (uint32_t by = 0; by < 8; by++) {
        uint8_t *begin = (uint8_t *)table + by % 4;
        uint32_t bytes = filled(begin, words[1]);
        struct edge_memory memory = {(int8_t *)arena + by / 4, ROOM, (const uint8_t *)blob, NULL};
        printf("%d ", edge_table_check(begin, bytes, &memory, &refusal));
    }
    struct edge_memory memory = {(int8_t *)arena, ROOM, (const uint8_t *)blob, NULL};
    struct edge_run run;
    uint32_t ticks[16] = {0};
    uint32_t bytes = filled((uint8_t *)table, words[1]);
    uint16_t operators = ((const struct edge_table *)table)->operators;
    if (edge_table_check((uint8_t *)table, bytes, &memory, &refusal) == 0 &&
        edge_run_begin(&run, (uint8_t *)table, &memory, 0, operators) == 0) {
        edge_run_rest(&run, late_ticks, ticks);
    }
    for (uint32_t i = 0; i < operators; i++) {
        printf("%u ", (unsigned)ticks[i]);
    }
    return 0;
}
