/* Inputs of one output pixel, as 16-bit numbers in scratch.
 *
 * A pixel is a list of segments: whole rows of the kernel where their bytes lie together (one
 * group, no dilation), else single taps. Each segment begins a new word.
 */
#ifndef EDGE_GATHER_H
#define EDGE_GATHER_H

#include <stddef.h>

#include "edge_arithmetic.h"
#include "edge_dsp.h"
#include "edge_kernels.h"

/* Words of one pixel lie 4 words apart: those of four pixels are interleaved. */
#define EDGE_PIXELS 4

struct edge_segments {
    uint32_t count, bytes;
};

static inline struct edge_segments edge_segments_of(const struct edge_conv *op) {
    struct edge_segments segments;
    if (op->groups == 1 && op->dilation_w == 1) {
        segments.count = op->k_h;
        segments.bytes = (uint32_t)op->k_w * op->in_c;
    } else {
        segments.count = (uint32_t)op->k_h * op->k_w;
        segments.bytes = op->in_c / op->groups;
    }
    return segments;
}

/* Words of scratch that one pixel takes. */
static inline uint32_t edge_segment_words(uint32_t bytes) {
    return (bytes + 1) / 2;
}

/* Two numbers as the halves of a word. */
static inline uint32_t edge_two(int16_t low, int16_t high) {
    return (uint32_t)(low & 0xFFFF) | (uint32_t)(high & 0xFFFF) << 16;
}

#if EDGE_DSP
#define EDGE_SPREAD(i)                                           \
    do {                                                         \
        const uint32_t word = edge_load4(from + 4 * (i));        \
        to[8 * (i)] = edge_sxtb16(word);                         \
        to[8 * (i) + EDGE_PIXELS] = edge_sxtb16_ror8(word);      \
    } while (0)
#else
#define EDGE_SPREAD(i)                                                             \
    do {                                                                           \
        to[8 * (i)] = edge_two(from[4 * (i)], from[4 * (i) + 2]);                  \
        to[8 * (i) + EDGE_PIXELS] = edge_two(from[4 * (i) + 1], from[4 * (i) + 3]); \
    } while (0)
#endif

/* n bytes that lie together. */
static __attribute__((noinline)) void edge_spread(uint32_t *to, const int8_t *from, uint32_t n) {
    for (; n >= 16; n -= 16, from += 16, to += 8 * EDGE_PIXELS) {
        EDGE_SPREAD(0);
        EDGE_SPREAD(1);
        EDGE_SPREAD(2);
        EDGE_SPREAD(3);
    }
    for (; n >= 4; n -= 4, from += 4, to += 2 * EDGE_PIXELS)
        EDGE_SPREAD(0);
    if (n >= 2) {
        to[0] = edge_two(from[0], from[1]);
        from += 2, to += EDGE_PIXELS;
    }
    if (n & 1)
        to[0] = edge_two(from[0], 0);
}

/* Numbers start .. start + n of a segment of `bytes`, one by one; from is NULL for n times zero. */
static __attribute__((noinline)) void edge_spread_part(uint32_t *to, uint32_t bytes, uint32_t start, uint32_t n,
                                    const int8_t *from, int8_t zero) {
    const uint32_t whole = bytes & ~(uint32_t)3;
    for (uint32_t i = 0; i < n; ++i) {
        const uint32_t k = start + i;
        const uint32_t pair = k < whole ? k / 4 * 2 + (k & 1) : k / 2;
        const uint32_t second = k < whole ? k & 2 : k & 1;
        const int8_t number = from ? from[i] : zero;
        uint32_t *const word = to + (size_t)pair * EDGE_PIXELS;
        *word = second ? edge_two((int16_t)*word, number) : edge_two(number, 0);
    }
}

#endif
