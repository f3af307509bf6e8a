/* A table: a segment as operators with addresses in an arena (SPEC, section 3), and the check before a board takes it. */

#ifndef EDGE_TABLE_H
#define EDGE_TABLE_H

#include <stdint.h>

#define EDGE_TABLE_MAGIC 0x31544B45U /* "EKT1" */
#define EDGE_ABI 1U
#define EDGE_NO_CHUNK 0xFFFFU
#define EDGE_NO_OPERATOR 0xFFFFU
#define EDGE_NOWHERE 0xFFFFFFFFU /* `at` of a chunk that was not found */
#define EDGE_IN_FLASH 0x80000000U /* set in `at` of a chunk that lies in the blob in flash; the rest counts from the begin of its blob */

enum {
    EDGE_TABLE_ALIGNMENT = -1, /* table or arena does not begin at a multiple of 4 */
    EDGE_TABLE_SIZE = -2,      /* not as long as it says, or too short for what it announces */
    EDGE_TABLE_MAGIC_WRONG = -3,
    EDGE_TABLE_ABI = -4,
    EDGE_TABLE_CRC = -5,
    EDGE_TABLE_ARENA = -6,    /* it needs a larger arena */
    EDGE_TABLE_END = -7,      /* an input or output outside the arena */
    EDGE_TABLE_MISSING = -8,  /* chunks that are in no blob, or have another size there */
    EDGE_TABLE_OPERATOR = -9, /* an operator of unknown code or wrong length */
    EDGE_TABLE_RANGE = -10,   /* a number of an operator outside its range */
    EDGE_TABLE_OUTSIDE = -11, /* an operator would read or write outside the arena */
    EDGE_TABLE_CHUNK = -12    /* an operator reads more or less than its chunk, or has none */
};

struct edge_table {
    uint32_t magic;
    uint16_t abi;
    uint16_t operators;
    uint32_t bytes;
    uint32_t arena_bytes;
    uint16_t chunks;
    uint16_t inputs;
    uint16_t outputs;
    uint16_t zero;
    uint32_t crc;
};

struct edge_end {
    uint32_t at;
    uint32_t bytes;
};

struct edge_table_chunk {
    uint8_t id[8];
    uint32_t bytes;
    uint32_t at;
};

/* Where a table is checked and run; blobs were checked, or are NULL. */
struct edge_memory {
    int8_t *arena;
    uint32_t arena_bytes; /* room; a table may need less */
    const uint8_t *ram;
    const uint8_t *flash;
};

/* Why a table was refused. */
struct edge_refusal {
    int code;
    uint16_t op;          /* number of the operator, or EDGE_NO_OPERATOR: the table as a whole */
    uint16_t missing;     /* how many chunks are missing */
    uint8_t first[8];     /* the id of one of them */
};

/* Whether the table may run in `memory`: 0, or a code, with the reason in `refusal`. Writes where each chunk is found into the
   table; a table that was checked before may be checked again. `bytes`: how many were put there. */
int edge_table_check(uint8_t *table, uint32_t bytes, const struct edge_memory *memory, struct edge_refusal *refusal);

/* Input or output `i` of a table that was checked, or NULL. */
const struct edge_end *edge_table_input(const uint8_t *table, uint32_t i);
const struct edge_end *edge_table_output(const uint8_t *table, uint32_t i);

/* Chunk `i` of a table that was checked; NULL for EDGE_NO_CHUNK. */
const uint8_t *edge_table_chunk(const uint8_t *table, uint32_t i, const struct edge_memory *memory);

/* The first operator of a table that was checked. */
const uint8_t *edge_table_operators(const uint8_t *table);

#endif
