#include "edge_table.h"

#include <stddef.h>

#include "edge_blob.h"
#include "edge_crc32.h"
#include "edge_operator.h"

static const struct edge_table *edge_header(const uint8_t *table)
{
    return (const struct edge_table *)(const void *)table;
}

static const struct edge_end *edge_ends(const uint8_t *table)
{
    return (const struct edge_end *)(const void *)(table + sizeof(struct edge_table));
}

static struct edge_table_chunk *edge_chunks(uint8_t *table)
{
    uint32_t ends = (uint32_t)edge_header(table)->inputs + edge_header(table)->outputs;
    return (struct edge_table_chunk *)(void *)(table + sizeof(struct edge_table) + ends * sizeof(struct edge_end));
}

static uint32_t edge_operators_at(const uint8_t *table)
{
    const struct edge_table *header = edge_header(table);
    uint32_t ends = (uint32_t)header->inputs + header->outputs;
    return (uint32_t)(sizeof *header + ends * sizeof(struct edge_end) + header->chunks * sizeof(struct edge_table_chunk));
}

static int edge_check_header(uint8_t *table, uint32_t bytes, const struct edge_memory *memory)
{
    struct edge_table *header = (struct edge_table *)(void *)table;
    if ((uintptr_t)table % 4U != 0U || (uintptr_t)memory->arena % 4U != 0U) {
        return EDGE_TABLE_ALIGNMENT;
    }
    if (bytes < sizeof *header) {
        return EDGE_TABLE_SIZE;
    }
    if (header->magic != EDGE_TABLE_MAGIC) {
        return EDGE_TABLE_MAGIC_WRONG;
    }
    if (header->abi != EDGE_ABI || header->zero != 0U) {
        return EDGE_TABLE_ABI;
    }
    if (header->bytes != bytes || edge_operators_at(table) > bytes) {
        return EDGE_TABLE_SIZE;
    }
    struct edge_table_chunk *chunks = edge_chunks(table);
    for (uint32_t i = 0; i < header->chunks; i++) {
        chunks[i].at = EDGE_NOWHERE;
    }
    uint32_t crc = header->crc;
    header->crc = 0;
    uint32_t found = edge_crc32(0, table, bytes);
    header->crc = crc;
    if (found != crc) {
        return EDGE_TABLE_CRC;
    }
    return header->arena_bytes > memory->arena_bytes ? EDGE_TABLE_ARENA : 0;
}

static int edge_check_ends(const uint8_t *table)
{
    const struct edge_table *header = edge_header(table);
    const struct edge_end *ends = edge_ends(table);
    for (uint32_t i = 0; i < (uint32_t)header->inputs + header->outputs; i++) {
        if (ends[i].bytes == 0U || ends[i].at > header->arena_bytes || ends[i].bytes > header->arena_bytes - ends[i].at) {
            return EDGE_TABLE_END;
        }
    }
    return 0;
}

/* Where a chunk lies: an offset in the blob in RAM, or in that in flash. */
static uint32_t edge_chunk_place(const struct edge_table_chunk *chunk, const struct edge_memory *memory)
{
    const struct edge_blob_chunk *found = edge_blob_find(memory->ram, chunk->id);
    if (found != NULL && found->bytes == chunk->bytes) {
        return found->at;
    }
    found = edge_blob_find(memory->flash, chunk->id);
    if (found != NULL && found->bytes == chunk->bytes) {
        return found->at | EDGE_IN_FLASH;
    }
    return EDGE_NOWHERE;
}

static int edge_find_chunks(uint8_t *table, const struct edge_memory *memory, struct edge_refusal *refusal)
{
    struct edge_table_chunk *chunks = edge_chunks(table);
    for (uint32_t i = 0; i < edge_header(table)->chunks; i++) {
        chunks[i].at = edge_chunk_place(&chunks[i], memory);
        if (chunks[i].at == EDGE_NOWHERE) {
            for (int k = 0; k < 8 && refusal->missing == 0U; k++) {
                refusal->first[k] = chunks[i].id[k];
            }
            refusal->missing++;
        }
    }
    return refusal->missing > 0U ? EDGE_TABLE_MISSING : 0;
}

static int edge_check_operators(uint8_t *table, const struct edge_memory *memory, struct edge_refusal *refusal)
{
    const struct edge_table *header = edge_header(table);
    uint32_t at = edge_operators_at(table);
    for (uint32_t i = 0; i < header->operators; i++) {
        const union edge_any_operator *op = (const union edge_any_operator *)(const void *)(table + at);
        refusal->op = (uint16_t)i;
        if (header->bytes - at < sizeof op->head || op->head.words == 0U || 4U * op->head.words > header->bytes - at) {
            return EDGE_TABLE_OPERATOR;
        }
        struct edge_scope scope = {header->arena_bytes, NULL, 0};
        if (op->head.chunk != EDGE_NO_CHUNK) {
            if (op->head.chunk >= header->chunks) {
                return EDGE_TABLE_CHUNK;
            }
            scope.data = edge_table_chunk(table, op->head.chunk, memory);
            scope.bytes = edge_chunks(table)[op->head.chunk].bytes;
        }
        int code = edge_operator_check(op, &scope);
        if (code != 0) {
            return code;
        }
        at += 4U * op->head.words;
    }
    refusal->op = EDGE_NO_OPERATOR;
    return at == header->bytes ? 0 : EDGE_TABLE_SIZE;
}

int edge_table_check(uint8_t *table, uint32_t bytes, const struct edge_memory *memory, struct edge_refusal *refusal)
{
    *refusal = (struct edge_refusal){0, EDGE_NO_OPERATOR, 0, {0}};
    int code = edge_check_header(table, bytes, memory);
    if (code == 0) {
        code = edge_check_ends(table);
    }
    if (code == 0) {
        code = edge_find_chunks(table, memory, refusal);
    }
    if (code == 0) {
        code = edge_check_operators(table, memory, refusal);
    }
    refusal->code = code;
    return code;
}

const struct edge_end *edge_table_input(const uint8_t *table, uint32_t i)
{
    return i < edge_header(table)->inputs ? &edge_ends(table)[i] : NULL;
}

const struct edge_end *edge_table_output(const uint8_t *table, uint32_t i)
{
    return i < edge_header(table)->outputs ? &edge_ends(table)[edge_header(table)->inputs + i] : NULL;
}

const uint8_t *edge_table_chunk(const uint8_t *table, uint32_t i, const struct edge_memory *memory)
{
    if (i == EDGE_NO_CHUNK) {
        return NULL;
    }
    uint32_t ends = (uint32_t)edge_header(table)->inputs + edge_header(table)->outputs;
    const struct edge_table_chunk *chunks = (const void *)(table + sizeof(struct edge_table) + ends * sizeof(struct edge_end));
    uint32_t at = chunks[i].at;
    return (at & EDGE_IN_FLASH) != 0U ? memory->flash + (at & ~EDGE_IN_FLASH) : memory->ram + at;
}

const uint8_t *edge_table_operators(const uint8_t *table)
{
    return table + edge_operators_at(table);
}
