#include "edge_frames.h"

enum { OUTSIDE, FIRST, NEXT, INSIDE };
enum { MARK_FIRST = 0x06, MARK_FIRST_2 = 0x09, MARK_NEXT = 0x04, MARK_NEXT_2 = 0x14 };
enum { LENGTH_BYTES = 2, BYTES_OF_A_LINE = 93, NOT_BASE64 = 64 };

static const char DIGITS[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

uint16_t edge_crc16(uint16_t crc, const uint8_t *data, uint32_t bytes)
{
    static const uint16_t table[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50A5, 0x60C6, 0x70E7,
                                       0x8108, 0x9129, 0xA14A, 0xB16B, 0xC18C, 0xD1AD, 0xE1CE, 0xF1EF};
    uint32_t rest = crc;
    for (uint32_t i = 0; i < bytes; i++) {
        rest = (rest << 4) ^ table[((rest >> 12) ^ (data[i] >> 4)) & 15U];
        rest = (rest << 4) ^ table[((rest >> 12) ^ data[i]) & 15U];
    }
    return (uint16_t)rest;
}

static uint8_t value_of(uint8_t digit)
{
    if (digit >= 'A' && digit <= 'Z') {
        return (uint8_t)(digit - 'A');
    }
    if (digit >= 'a' && digit <= 'z') {
        return (uint8_t)(digit - 'a' + 26);
    }
    if (digit >= '0' && digit <= '9') {
        return (uint8_t)(digit - '0' + 52);
    }
    return digit == '+' ? 62 : digit == '/' ? 63 : NOT_BASE64;
}

void edge_frames_open(struct edge_frames *frames, uint8_t *data, uint16_t capacity)
{
    *frames = (struct edge_frames){.data = data, .capacity = capacity, .state = OUTSIDE};
}

static void drop(struct edge_frames *frames)
{
    frames->dropped += frames->open;
    frames->open = 0;
    frames->have = 0;
    frames->state = OUTSIDE;
}

/* Look for the begin of a line. */
static void seek(struct edge_frames *frames, uint8_t byte)
{
    frames->state = byte == MARK_FIRST ? FIRST : byte == MARK_NEXT ? NEXT : OUTSIDE;
}

static void begin_line(struct edge_frames *frames)
{
    frames->state = frames->open ? INSIDE : OUTSIDE;
    frames->quads = 0;
    frames->padded = 0;
}

/* Whether the byte has its place in the frame. */
static int take(struct edge_frames *frames, uint8_t byte)
{
    if (frames->have < LENGTH_BYTES) {
        frames->expected = (uint16_t)(frames->expected << 8 | byte);
        frames->have++;
        return frames->have < LENGTH_BYTES || (frames->expected > EDGE_CRC_BYTES && frames->expected <= frames->capacity);
    }
    if (frames->have - LENGTH_BYTES >= frames->expected) {
        return 0;
    }
    frames->data[frames->have - LENGTH_BYTES] = byte;
    frames->have++;
    return 1;
}

static int take_quad(struct edge_frames *frames)
{
    const uint8_t *quad = frames->quad;
    frames->quads = 0;
    if (!take(frames, (uint8_t)(quad[0] << 2 | quad[1] >> 4))) {
        return 0;
    }
    if (frames->padded < 2 && !take(frames, (uint8_t)(quad[1] << 4 | quad[2] >> 2))) {
        return 0;
    }
    return frames->padded > 0 || take(frames, (uint8_t)(quad[2] << 6 | quad[3]));
}

/* Whether the character belongs here; padding only ends a line. */
static int take_digit(struct edge_frames *frames, uint8_t digit)
{
    uint8_t value = value_of(digit);
    if (digit == '=' && frames->quads >= 2) {
        value = 0;
        frames->padded++;
    } else if (value == NOT_BASE64 || frames->padded) {
        return 0;
    }
    frames->quad[frames->quads++] = value;
    return frames->quads < 4 || take_quad(frames);
}

static uint16_t end_line(struct edge_frames *frames)
{
    frames->state = OUTSIDE;
    if (frames->quads != 0) {
        drop(frames);
        return 0;
    }
    if (frames->have < LENGTH_BYTES || frames->have - LENGTH_BYTES < frames->expected) {
        return 0; /* it goes on in the next line */
    }
    uint16_t bytes = (uint16_t)(frames->expected - EDGE_CRC_BYTES);
    if (edge_crc16(0, frames->data, frames->expected) != 0) { /* of a message with its own CRC-16 */
        drop(frames);
        return 0;
    }
    frames->open = 0;
    frames->have = 0;
    return bytes;
}

uint16_t edge_frames_feed(struct edge_frames *frames, uint8_t byte)
{
    if (frames->state == FIRST && byte == MARK_FIRST_2) {
        drop(frames);
        frames->open = 1;
        frames->expected = 0;
        begin_line(frames);
    } else if (frames->state == NEXT && byte == MARK_NEXT_2) {
        begin_line(frames);
    } else if (frames->state != INSIDE) {
        seek(frames, byte);
    } else if (byte == '\n') {
        return end_line(frames);
    } else if (byte != '\r' && !take_digit(frames, byte)) {
        drop(frames);
        seek(frames, byte);
    }
    return 0;
}

void edge_lines_open(struct edge_lines *lines, const uint8_t *message, uint16_t bytes)
{
    *lines = (struct edge_lines){message, bytes, edge_crc16(0, message, bytes), 0};
}

/* Byte `at` of the frame. */
static uint8_t byte_at(const struct edge_lines *lines, uint16_t at)
{
    uint16_t length = (uint16_t)(lines->bytes + EDGE_CRC_BYTES);
    if (at < LENGTH_BYTES) {
        return (uint8_t)(at == 0 ? length >> 8 : length);
    }
    at = (uint16_t)(at - LENGTH_BYTES);
    if (at < lines->bytes) {
        return lines->message[at];
    }
    return (uint8_t)(at == lines->bytes ? lines->crc >> 8 : lines->crc);
}

uint16_t edge_lines_next(struct edge_lines *lines, uint8_t line[EDGE_LINE_BYTES])
{
    uint16_t total = (uint16_t)(LENGTH_BYTES + lines->bytes + EDGE_CRC_BYTES);
    if (lines->at >= total) {
        return 0;
    }
    line[0] = lines->at == 0 ? MARK_FIRST : MARK_NEXT;
    line[1] = lines->at == 0 ? MARK_FIRST_2 : MARK_NEXT_2;
    uint16_t n = 2;
    uint16_t stop = (uint16_t)(total - lines->at > BYTES_OF_A_LINE ? lines->at + BYTES_OF_A_LINE : total);
    while (lines->at < stop) {
        uint16_t left = (uint16_t)(stop - lines->at);
        uint32_t bits = (uint32_t)byte_at(lines, lines->at) << 16;
        bits |= left > 1 ? (uint32_t)byte_at(lines, (uint16_t)(lines->at + 1)) << 8 : 0;
        bits |= left > 2 ? byte_at(lines, (uint16_t)(lines->at + 2)) : 0U;
        line[n++] = (uint8_t)DIGITS[bits >> 18];
        line[n++] = (uint8_t)DIGITS[bits >> 12 & 63U];
        line[n++] = (uint8_t)(left > 1 ? DIGITS[bits >> 6 & 63U] : '=');
        line[n++] = (uint8_t)(left > 2 ? DIGITS[bits & 63U] : '=');
        lines->at = (uint16_t)(lines->at + (left > 2 ? 3 : left));
    }
    line[n++] = '\n';
    return n;
}
