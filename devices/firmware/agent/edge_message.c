#include "edge_message.h"

#include <string.h>

#include "zcbor_decode.h"
#include "zcbor_encode.h"

enum { KEY_BYTES = 16, LIST_MOST = 256, TOO_LONG = 7 };

static const char *const NAMES[EDGE_FIELDS] = {"i", "off", "len", "crc", "n", "from", "to", "fill", "data", "sha", "d"};

static enum edge_field field_of(const struct zcbor_string *key)
{
    for (uint32_t k = 0; k < EDGE_FIELDS; k++) {
        if (strlen(NAMES[k]) == key->len && memcmp(NAMES[k], key->value, key->len) == 0) {
            return (enum edge_field)k;
        }
    }
    return EDGE_FIELDS;
}

/* What is not known is skipped if it holds nothing itself: whatever a message nests, no call nests with it. */
static bool skip(zcbor_state_t *state)
{
    if (state->payload >= state->payload_end) {
        return false;
    }
    zcbor_major_type_t type = ZCBOR_MAJOR_TYPE(*state->payload);
    return type != ZCBOR_MAJOR_TYPE_LIST && type != ZCBOR_MAJOR_TYPE_MAP && type != ZCBOR_MAJOR_TYPE_TAG && zcbor_any_skip(state, NULL);
}

static bool read_pair(struct edge_request *request, zcbor_state_t *state)
{
    struct zcbor_string key;
    if (!zcbor_tstr_decode(state, &key)) {
        return false;
    }
    enum edge_field field = field_of(&key);
    if (field == EDGE_FIELDS) {
        return skip(state);
    }
    request->given |= 1U << field;
    if (field < EDGE_NUMBERS) {
        return zcbor_uint32_decode(state, &request->numbers[field]);
    }
    struct zcbor_string *text = &request->texts[field - EDGE_NUMBERS];
    return field == EDGE_TEXT ? zcbor_tstr_decode(state, text) : zcbor_bstr_decode(state, text);
}

int edge_request_read(struct edge_request *request, const uint8_t *data, uint32_t bytes)
{
    memset(request, 0, sizeof *request);
    if (bytes < EDGE_HEADER_BYTES || ((uint32_t)data[2] << 8 | data[3]) != bytes - EDGE_HEADER_BYTES) {
        return EDGE_MESSAGE_FOREIGN;
    }
    request->op = data[0] & 7U;
    request->version = data[0] >> 3 & 3U;
    request->group = (uint16_t)(data[4] << 8 | data[5]);
    request->sequence = data[6];
    request->id = data[7];
    if (request->op != EDGE_READ && request->op != EDGE_WRITE) {
        return EDGE_MESSAGE_FOREIGN;
    }
    if (bytes == EDGE_HEADER_BYTES) {
        return 0;
    }
    ZCBOR_STATE_D(state, 1, data + EDGE_HEADER_BYTES, bytes - EDGE_HEADER_BYTES, 1, 0);
    bool good = zcbor_map_start_decode(state);
    while (good && !zcbor_array_at_end(state)) {
        good = read_pair(request, state);
    }
    return good && zcbor_map_end_decode(state) ? 0 : EDGE_MESSAGE_CBOR;
}

int edge_request_has(const struct edge_request *request, uint32_t mask)
{
    return (request->given & mask) == mask;
}

void edge_reply_open(struct edge_reply *reply, uint8_t *data, uint32_t capacity)
{
    reply->data = data;
    reply->capacity = capacity;
    zcbor_new_encode_state(reply->cbor, 4, data + EDGE_HEADER_BYTES, capacity - EDGE_HEADER_BYTES, 1);
    reply->fits = zcbor_map_start_encode(reply->cbor, EDGE_FIELDS);
}

static bool put_key(struct edge_reply *reply, const char *key)
{
    return reply->fits && zcbor_tstr_put_term(reply->cbor, key, KEY_BYTES);
}

void edge_reply_number(struct edge_reply *reply, const char *key, uint32_t value)
{
    reply->fits = put_key(reply, key) && zcbor_uint32_put(reply->cbor, value);
}

void edge_reply_text(struct edge_reply *reply, const char *key, const char *text)
{
    edge_reply_string(reply, key, (const uint8_t *)text, (uint32_t)strlen(text));
}

void edge_reply_string(struct edge_reply *reply, const char *key, const uint8_t *text, uint32_t bytes)
{
    struct zcbor_string string = {text, bytes};
    reply->fits = put_key(reply, key) && zcbor_tstr_encode(reply->cbor, &string);
}

void edge_reply_bytes(struct edge_reply *reply, const char *key, const uint8_t *data, uint32_t bytes)
{
    struct zcbor_string string = {data, bytes};
    reply->fits = put_key(reply, key) && zcbor_bstr_encode(reply->cbor, &string);
}

void edge_reply_list(struct edge_reply *reply, const char *key, const uint32_t *values, uint32_t count)
{
    reply->fits = put_key(reply, key) && zcbor_list_start_encode(reply->cbor, LIST_MOST);
    for (uint32_t i = 0; i < count; i++) {
        reply->fits = reply->fits && zcbor_uint32_put(reply->cbor, values[i]);
    }
    reply->fits = reply->fits && zcbor_list_end_encode(reply->cbor, LIST_MOST);
}

void edge_reply_error(struct edge_reply *reply, uint16_t group, uint32_t code)
{
    edge_reply_open(reply, reply->data, reply->capacity);
    if (group == 0) {
        edge_reply_number(reply, "rc", code);
        return;
    }
    reply->fits = put_key(reply, "err") && zcbor_map_start_encode(reply->cbor, 2);
    edge_reply_number(reply, "group", group);
    edge_reply_number(reply, "rc", code);
    reply->fits = reply->fits && zcbor_map_end_encode(reply->cbor, 2);
}

uint32_t edge_reply_end(struct edge_reply *reply, const struct edge_request *request)
{
    if (!reply->fits || !zcbor_map_end_encode(reply->cbor, EDGE_FIELDS)) {
        edge_reply_error(reply, 0, TOO_LONG);
        (void)zcbor_map_end_encode(reply->cbor, EDGE_FIELDS);
    }
    uint32_t bytes = (uint32_t)(reply->cbor->payload - reply->data);
    uint32_t map = bytes - EDGE_HEADER_BYTES;
    uint8_t header[EDGE_HEADER_BYTES] = {(uint8_t)((uint32_t)request->version << 3 | (request->op + 1U)),
                                         0,
                                         (uint8_t)(map >> 8),
                                         (uint8_t)map,
                                         (uint8_t)(request->group >> 8),
                                         (uint8_t)request->group,
                                         request->sequence,
                                         request->id};
    memcpy(reply->data, header, sizeof header);
    return bytes;
}
