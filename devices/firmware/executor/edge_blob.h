/* A blob: the chunks that operators read besides tensors, found by their ids (SPEC, section 2). */

#ifndef EDGE_BLOB_H
#define EDGE_BLOB_H

#include <stdint.h>

#define EDGE_BLOB_MAGIC 0x31574B45U /* "EKW1" */

enum {
    EDGE_BLOB_ALIGNMENT = -40, /* it does not begin at a multiple of 4 */
    EDGE_BLOB_SHORT = -41,     /* it is longer than the memory that it lies in */
    EDGE_BLOB_NONE = -42,      /* no magic: nothing was put here */
    EDGE_BLOB_CRC = -43,
    EDGE_BLOB_INDEX = -44 /* ids not ascending, or a chunk outside the blob */
};

struct edge_blob {
    uint32_t magic;
    uint32_t chunks;
    uint32_t bytes;
    uint32_t crc;
};

struct edge_blob_chunk {
    uint8_t id[8];
    uint32_t at;
    uint32_t bytes;
};

/* Whether `room` bytes at `data` begin with a whole blob: 0, or a code. It reads all of it: once after a reset, and after an upload. */
int edge_blob_check(const uint8_t *data, uint32_t room);

/* A chunk of a blob that was checked, or NULL; `data` may be NULL: no blob. */
const struct edge_blob_chunk *edge_blob_find(const uint8_t *data, const uint8_t id[8]);

#endif
