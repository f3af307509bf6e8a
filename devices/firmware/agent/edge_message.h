/* One request and one response of SMP: an 8-byte header, and a CBOR map whose keys are looked up by name. */

#ifndef EDGE_MESSAGE_H
#define EDGE_MESSAGE_H

#include <stdint.h>

#include "zcbor_common.h"

enum { EDGE_MESSAGE_BYTES = 1024, EDGE_HEADER_BYTES = 8 };

enum edge_op { EDGE_READ = 0, EDGE_WRITE = 2 };

/* What a request may hold; bit k of `given`: field k is there. */
enum edge_field {
    EDGE_I,
    EDGE_OFF,
    EDGE_LEN,
    EDGE_CRC,
    EDGE_N,
    EDGE_FROM,
    EDGE_TO,
    EDGE_FILL,
    EDGE_NUMBERS,
    EDGE_DATA = EDGE_NUMBERS,
    EDGE_SHA,
    EDGE_TEXT,
    EDGE_FIELDS
};

struct edge_request {
    uint8_t op;
    uint8_t version;
    uint8_t sequence;
    uint8_t id;
    uint16_t group;
    uint32_t given;
    uint32_t numbers[EDGE_NUMBERS];
    struct zcbor_string texts[EDGE_FIELDS - EDGE_NUMBERS];
};

enum {
    EDGE_MESSAGE_FOREIGN = -1, /* no request: it gets no answer */
    EDGE_MESSAGE_CBOR = -2     /* not a map of numbers and texts */
};

/* Read a request: 0, or a code. Its texts point into `data`. */
int edge_request_read(struct edge_request *request, const uint8_t *data, uint32_t bytes);

/* Whether all fields of the mask are there. */
int edge_request_has(const struct edge_request *request, uint32_t mask);

struct edge_reply {
    uint8_t *data;
    uint32_t capacity;
    zcbor_state_t cbor[4];
    int fits;
};

void edge_reply_open(struct edge_reply *reply, uint8_t *data, uint32_t capacity);
void edge_reply_number(struct edge_reply *reply, const char *key, uint32_t value);
void edge_reply_text(struct edge_reply *reply, const char *key, const char *text);
void edge_reply_string(struct edge_reply *reply, const char *key, const uint8_t *text, uint32_t bytes);
void edge_reply_bytes(struct edge_reply *reply, const char *key, const uint8_t *data, uint32_t bytes);
void edge_reply_list(struct edge_reply *reply, const char *key, const uint32_t *values, uint32_t count);

/* The error of a group; group 0: an error of SMP itself. */
void edge_reply_error(struct edge_reply *reply, uint16_t group, uint32_t code);

/* Write the header. How long the response is. */
uint32_t edge_reply_end(struct edge_reply *reply, const struct edge_request *request);

#endif
