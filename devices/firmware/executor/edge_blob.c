#include "edge_blob.h"

#include <stddef.h>

#include "edge_crc32.h"
#include "edge_table.h"

static int edge_id_order(const uint8_t *a, const uint8_t *b)
{
    for (int i = 0; i < 8; i++) {
        if (a[i] != b[i]) {
            return a[i] < b[i] ? -1 : 1;
        }
    }
    return 0;
}

static const struct edge_blob_chunk *edge_blob_index(const uint8_t *data)
{
    return (const struct edge_blob_chunk *)(const void *)(data + sizeof(struct edge_blob));
}

static int edge_blob_check_index(const uint8_t *data, const struct edge_blob *blob)
{
    const struct edge_blob_chunk *index = edge_blob_index(data);
    uint32_t room = blob->bytes - (uint32_t)sizeof *blob;
    if (blob->chunks > room / sizeof *index) {
        return EDGE_BLOB_INDEX;
    }
    uint32_t begin = (uint32_t)(sizeof *blob + blob->chunks * sizeof *index);
    for (uint32_t i = 0; i < blob->chunks; i++) {
        uint32_t at = index[i].at;
        if (at % 4U != 0U || at < begin || at > blob->bytes || index[i].bytes > blob->bytes - at) {
            return EDGE_BLOB_INDEX;
        }
        if (i > 0U && edge_id_order(index[i - 1U].id, index[i].id) >= 0) {
            return EDGE_BLOB_INDEX;
        }
    }
    return 0;
}

int edge_blob_check(const uint8_t *data, uint32_t room)
{
    const struct edge_blob *blob = (const struct edge_blob *)(const void *)data;
    if ((uintptr_t)data % 4U != 0U) {
        return EDGE_BLOB_ALIGNMENT;
    }
    if (room < sizeof *blob) {
        return EDGE_BLOB_SHORT;
    }
    if (blob->magic != EDGE_BLOB_MAGIC) {
        return EDGE_BLOB_NONE;
    }
    if (blob->bytes > room || blob->bytes < sizeof *blob || blob->bytes >= EDGE_IN_FLASH) {
        return EDGE_BLOB_SHORT;
    }
    if (edge_crc32(0, data + sizeof *blob, blob->bytes - (uint32_t)sizeof *blob) != blob->crc) {
        return EDGE_BLOB_CRC;
    }
    return edge_blob_check_index(data, blob);
}

const struct edge_blob_chunk *edge_blob_find(const uint8_t *data, const uint8_t id[8])
{
    if (data == NULL) {
        return NULL;
    }
    const struct edge_blob_chunk *index = edge_blob_index(data);
    uint32_t low = 0;
    uint32_t high = ((const struct edge_blob *)(const void *)data)->chunks;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2U;
        int order = edge_id_order(index[middle].id, id);
        if (order == 0) {
            return &index[middle];
        }
        if (order < 0) {
            low = middle + 1U;
        } else {
            high = middle;
        }
    }
    return NULL;
}
