/* Frames of SMP on a console: lines of base64 with a length and a CRC-16. Without I/O, in memory of the caller.

   06 09 | base64 of { u16 length of what follows | message | u16 CRC-16 of the message } ... \n
   04 14 | ... more of it \n

             06             09            base64            \n
   OUTSIDE ------> FIRST ------> INSIDE <--------+  INSIDE ------> message, or OUTSIDE until the next line
           ------> NEXT  ------> INSIDE
             04             14
   What fits nowhere drops the frame and leads to OUTSIDE. */

#ifndef EDGE_FRAMES_H
#define EDGE_FRAMES_H

#include <stdint.h>

enum { EDGE_LINE_BYTES = 127, EDGE_CRC_BYTES = 2 };

/* The receiving end. */
struct edge_frames {
    uint8_t *data;     /* the message, then its CRC */
    uint16_t capacity; /* of data */
    uint16_t have;     /* how many bytes came, those of the length included */
    uint16_t expected; /* the length */
    uint8_t state;
    uint8_t open; /* a frame has begun */
    uint8_t quad[4];
    uint8_t quads;
    uint8_t padded;
    uint32_t dropped; /* frames that were damaged, too long or not finished */
};

void edge_frames_open(struct edge_frames *frames, uint8_t *data, uint16_t capacity);

/* Take one byte of the line. The length of the message that is whole with it, or 0. The message stays until the next byte. */
uint16_t edge_frames_feed(struct edge_frames *frames, uint8_t byte);

/* The sending end. */
struct edge_lines {
    const uint8_t *message;
    uint16_t bytes;
    uint16_t crc;
    uint16_t at;
};

void edge_lines_open(struct edge_lines *lines, const uint8_t *message, uint16_t bytes);

/* Write the next line. How many bytes it has; 0 after the last one. */
uint16_t edge_lines_next(struct edge_lines *lines, uint8_t line[EDGE_LINE_BYTES]);

/* CRC-16/XMODEM of `bytes` more; begin with crc = 0. */
uint16_t edge_crc16(uint16_t crc, const uint8_t *data, uint32_t bytes);

#endif
