/* Checks and runs tables on the host, and mutants of them.
 *
 *   driver run CASES ANSWERS      each case twice, over two fills of the arena
 *   driver fuzz CASES SEED COUNT  mutants of tables, most with their CRC put right
 *   driver blobs CASES SEED COUNT mutants of the blobs in RAM
 *
 * A case: u32 bytes of table, of the blob in RAM, of that in flash, of all inputs; room in the arena; then their bytes. An answer: i32
 * code, u32 operator, u32 missing chunks; with code 0 also the arena after each of both runs. Arena, table and blobs are allocations of
 * their own, and what lies between chunks is poisoned, so that the sanitizers see each byte that is touched beyond them.
 */
#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge_blob.h"
#include "edge_crc32.h"
#include "edge_executor.h"
#include "edge_table.h"

struct bytes {
    uint8_t *data;
    uint32_t size;
};

struct given {
    struct bytes table, ram, flash, inputs;
    uint32_t room;
};

static uint64_t state;

static uint32_t drawn(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 16) % below);
}

static uint32_t word(FILE *from)
{
    uint32_t value;
    if (fread(&value, 4, 1, from) != 1) {
        exit(3);
    }
    return value;
}

/* As large as it says, so that the sanitizers know its end; none where it is empty. */
static struct bytes taken(FILE *from, uint32_t size)
{
    struct bytes bytes = {size > 0 ? malloc(size) : NULL, size};
    if (size > 0 && fread(bytes.data, 1, size, from) != size) {
        exit(3);
    }
    return bytes;
}

static struct given next_case(FILE *from)
{
    uint32_t table = word(from), ram = word(from), flash = word(from), inputs = word(from);
    struct given given = {.room = word(from)};
    given.table = taken(from, table);
    given.ram = taken(from, ram);
    given.flash = taken(from, flash);
    given.inputs = taken(from, inputs);
    return given;
}

static void released(struct given *given)
{
    free(given->table.data);
    free(given->ram.data);
    free(given->flash.data);
    free(given->inputs.data);
}

/* Leave only the index and the chunks of a blob readable. */
static void fenced(struct bytes blob)
{
    if (blob.data == NULL || edge_blob_check(blob.data, blob.size) != 0) {
        return;
    }
    uint32_t chunks = ((const struct edge_blob *)(const void *)blob.data)->chunks;
    const struct edge_blob_chunk *index = (const void *)(blob.data + sizeof(struct edge_blob));
    uint32_t begin = (uint32_t)(sizeof(struct edge_blob) + chunks * sizeof *index);
    ASAN_POISON_MEMORY_REGION(blob.data + begin, blob.size - begin);
    for (uint32_t i = 0; i < chunks; i++) {
        ASAN_UNPOISON_MEMORY_REGION(blob.data + index[i].at, index[i].bytes);
    }
}

static void filled(const uint8_t *table, int8_t *arena, struct bytes inputs)
{
    uint32_t at = 0;
    for (uint32_t i = 0; edge_table_input(table, i) != NULL; i++) {
        const struct edge_end *end = edge_table_input(table, i);
        for (uint32_t k = 0; k < end->bytes && at < inputs.size; k++) {
            arena[end->at + k] = (int8_t)inputs.data[at++];
        }
    }
}

static void run_whole(const uint8_t *table, const struct edge_memory *memory)
{
    struct edge_run run;
    if (edge_run_begin(&run, table, memory, 0, ((const struct edge_table *)(const void *)table)->operators) != 0) {
        exit(4);
    }
    edge_run_rest(&run, NULL, NULL);
}

/* A table, an arena or a blob that begins at no multiple of 4 is refused before anything in it is read. */
static void refused_at_odd_bases(const struct given *given)
{
    struct edge_refusal refusal;
    int8_t *place = malloc(8);
    for (int i = 1; i < 4; i++) {
        struct edge_memory memory = {place + i, given->room, NULL, NULL};
        int arena = edge_table_check(given->table.data, given->table.size, &memory, &refusal);
        memory.arena = place;
        int table = edge_table_check((uint8_t *)place + i, given->table.size, &memory, &refusal);
        if (arena != EDGE_TABLE_ALIGNMENT || table != EDGE_TABLE_ALIGNMENT || edge_blob_check((uint8_t *)place + i, 64) != EDGE_BLOB_ALIGNMENT) {
            exit(6);
        }
    }
    free(place);
}

static void answered(struct given *given, FILE *to)
{
    static const int fills[] = {0xA5, 0x5A};
    struct edge_refusal refusal;
    refused_at_odd_bases(given);
    fenced(given->ram);
    fenced(given->flash);
    for (int i = 0; i < 2; i++) {
        struct edge_memory memory = {malloc(given->room + 1U), given->room, given->ram.data, given->flash.data};
        memory.arena = realloc(memory.arena, given->room > 0 ? given->room : 1U);
        memset(memory.arena, fills[i], given->room);
        int code = edge_table_check(given->table.data, given->table.size, &memory, &refusal);
        if (i == 0) {
            uint32_t answer[3] = {(uint32_t)code, refusal.op, refusal.missing};
            fwrite(answer, 4, 3, to);
        }
        if (code == 0) {
            filled(given->table.data, memory.arena, given->inputs);
            run_whole(given->table.data, &memory);
            fwrite(memory.arena, 1, given->room, to);
        }
        free(memory.arena);
    }
}

static void mutate(uint8_t *data, uint32_t size)
{
    static const uint32_t edges[] = {0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000U, 0xFFFFFFFFU};
    uint32_t width = 1U << drawn(3), at = drawn(size / width) * width;
    uint32_t value = drawn(2) == 0 ? edges[drawn(14)] : drawn(2) == 0 ? drawn(64) : drawn(0xFFFFFFFFU);
    if (drawn(4) == 0) {
        data[drawn(size)] ^= (uint8_t)(1U << drawn(8));
    } else {
        memcpy(data + at, &value, width);
    }
}

/* Puts the size and the CRC of a table right. */
static void corrected(uint8_t *table, uint32_t size)
{
    uint32_t crc = 0;
    memcpy(table + 8, &size, 4);
    memcpy(table + 24, &crc, 4);
    struct edge_table *header = (struct edge_table *)(void *)table;
    uint32_t at = 28U + 8U * ((uint32_t)header->inputs + header->outputs);
    for (uint32_t i = 0; i < header->chunks && at + 16U * (i + 1U) <= size; i++) {
        memset(table + at + 16U * i + 12U, 0xFF, 4); /* as the check does before it looks at the CRC */
    }
    crc = edge_crc32(0, table, size);
    memcpy(table + 24, &crc, 4);
}

static void fuzz_tables(struct given *given, uint32_t count)
{
    uint32_t codes[16] = {0};
    fenced(given->ram);
    fenced(given->flash);
    struct edge_memory memory = {malloc(given->room), given->room, given->ram.data, given->flash.data};
    memset(memory.arena, 0xA5, given->room);
    for (uint32_t i = 0; i < count; i++) {
        struct edge_refusal refusal;
        uint32_t size = given->table.size - (drawn(20) == 0 ? drawn(given->table.size - 8U) : 0U);
        uint8_t *table = malloc(size);
        memcpy(table, given->table.data, size);
        for (uint32_t k = 0; k <= drawn(3); k++) {
            mutate(table, size);
        }
        if (drawn(10) > 0 && size >= 28U) {
            corrected(table, size);
        }
        int code = edge_table_check(table, size, &memory, &refusal);
        codes[-code]++;
        if (code == 0) {
            run_whole(table, &memory);
        }
        free(table);
    }
    for (int i = 0; i < 16; i++) {
        printf("%u ", codes[i]);
    }
    printf("\n");
    free(memory.arena);
}

static void fuzz_blobs(struct given *given, uint32_t count)
{
    uint32_t taken_blobs = 0, sum = 0;
    uint8_t *blob = malloc(given->ram.size);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(blob, given->ram.data, given->ram.size);
        for (uint32_t k = 0; k <= drawn(3); k++) {
            mutate(blob, drawn(2) == 0 ? 64 : given->ram.size);
        }
        if (drawn(10) > 0) {
            uint32_t crc = edge_crc32(0, blob + 16, given->ram.size - 16U);
            memcpy(blob + 12, &crc, 4);
        }
        if (edge_blob_check(blob, given->ram.size) != 0) {
            continue;
        }
        taken_blobs++;
        const struct edge_blob_chunk *index = (const void *)(blob + sizeof(struct edge_blob));
        for (uint32_t k = 0; k < ((const struct edge_blob *)(const void *)blob)->chunks; k++) {
            const struct edge_blob_chunk *found = edge_blob_find(blob, index[k].id);
            if (found != &index[k]) {
                exit(5);
            }
            sum = edge_crc32(sum, blob + found->at, found->bytes);
        }
    }
    printf("%u %u\n", taken_blobs, sum);
    free(blob);
}

int main(int count, char **words)
{
    FILE *from = count > 3 ? fopen(words[2], "rb") : NULL;
    if (from == NULL) {
        return 2;
    }
    int run = strcmp(words[1], "run") == 0;
    FILE *to = run ? fopen(words[3], "wb") : NULL;
    state = run ? 1 : strtoull(words[3], NULL, 10) * 0x9E3779B97F4A7C15ULL + 1ULL;
    for (uint32_t cases = word(from); cases > 0; cases--) {
        struct given given = next_case(from);
        if (run) {
            answered(&given, to);
        } else if (strcmp(words[1], "fuzz") == 0) {
            fuzz_tables(&given, (uint32_t)atoi(words[4]));
        } else {
            fuzz_blobs(&given, (uint32_t)atoi(words[4]));
        }
        released(&given);
    }
    if (to != NULL) {
        fclose(to);
    }
    fclose(from);
    return 0;
}
