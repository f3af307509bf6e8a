#include "edge_upload.h"

#include <string.h>

#include "edge_agent.h"
#include "edge_crc32.h"

static const struct zcbor_string *sha_of(const struct edge_request *request)
{
    return &request->texts[EDGE_SHA - EDGE_NUMBERS];
}

int edge_upload_same(const struct edge_upload *upload, const struct edge_request *request)
{
    const struct zcbor_string *sha = sha_of(request);
    return upload->state != EDGE_NOTHING && upload->bytes == request->numbers[EDGE_LEN] && upload->crc == request->numbers[EDGE_CRC] &&
           (sha->len == 0 || memcmp(upload->sha, sha->value, EDGE_SHA_BYTES) == 0);
}

void edge_upload_begin(struct edge_upload *upload, const struct edge_request *request, uint8_t *at)
{
    *upload = (struct edge_upload){.at = at, .bytes = request->numbers[EDGE_LEN], .crc = request->numbers[EDGE_CRC], .state = EDGE_COMING};
    if (sha_of(request)->len == EDGE_SHA_BYTES) {
        memcpy(upload->sha, sha_of(request)->value, EDGE_SHA_BYTES);
    }
}

int edge_upload_take(struct edge_upload *upload, const struct edge_request *request)
{
    const struct zcbor_string *data = &request->texts[EDGE_DATA - EDGE_NUMBERS];
    uint32_t off = request->numbers[EDGE_OFF];
    if (upload->state == EDGE_NOTHING || off > upload->have) {
        return EDGE_OFFSET;
    }
    if (upload->state == EDGE_WHOLE || off < upload->have) {
        return 0;
    }
    if (data->len > upload->bytes - upload->have) {
        return EDGE_BAD;
    }
    memcpy(upload->at + upload->have, data->value, data->len);
    upload->have += (uint32_t)data->len;
    if (upload->have < upload->bytes) {
        return 0;
    }
    if (edge_crc32(0, upload->at, upload->bytes) != upload->crc) {
        upload->state = EDGE_NOTHING;
        upload->have = 0;
        return EDGE_WRONG_CRC;
    }
    upload->state = EDGE_WHOLE;
    return 0;
}
