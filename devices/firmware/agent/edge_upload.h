/* Bytes that come in pieces, into a place of the caller: in order, each once, whole only with the right CRC-32. */

#ifndef EDGE_UPLOAD_H
#define EDGE_UPLOAD_H

#include <stdint.h>

#include "edge_message.h"

enum { EDGE_SHA_BYTES = 32 };

enum edge_upload_state { EDGE_NOTHING, EDGE_COMING, EDGE_WHOLE };

struct edge_upload {
    uint8_t *at;
    uint32_t bytes;
    uint32_t have;
    uint32_t crc;
    uint8_t sha[EDGE_SHA_BYTES];
    uint8_t state; /* of edge_upload_state */
};

/* Whether a request at offset 0 goes on with what comes already. */
int edge_upload_same(const struct edge_upload *upload, const struct edge_request *request);

/* Begin anew, into `at`. */
void edge_upload_begin(struct edge_upload *upload, const struct edge_request *request, uint8_t *at);

/* Take the data of a request: 0, or a code of edge_code. A piece that is there already changes nothing. */
int edge_upload_take(struct edge_upload *upload, const struct edge_request *request);

#endif
