/* Sums of a kernel of 3 x 3, of four pixels of four channels: stride 1 or 2 along the row.
 *
 * Channels 0 and 2 come first, then 1 and 3: three weights of a row and eight sums stay in registers,
 * and each column of the input is read once for all pixels that see it.
 */
#ifndef EDGE_DEPTHWISE_3X3_H
#define EDGE_DEPTHWISE_3X3_H

#include <stddef.h>

#include "edge_arithmetic.h"
#include "edge_dsp.h"

#if EDGE_DSP_NATIVE

#define EDGE_LOAD(column, ror)               \
    "ldr    %[x], [%[at]" column "]\n\t"     \
    "sxtb16 %[x], %[x]" ror "\n\t"
#define EDGE_ADD(pixel, weight)                                             \
    "smlabb %[a" pixel "], %[x], %[w" weight "], %[a" pixel "]\n\t"         \
    "smlatt %[b" pixel "], %[x], %[w" weight "], %[b" pixel "]\n\t"
#define EDGE_FIRST ""
#define EDGE_SECOND ", %[across]"
#define EDGE_THIRD ", %[across], lsl #1"
#define EDGE_ON                                      \
    "add    %[at], %[at], %[across], lsl #1\n\t"     \
    "add    %[at], %[at], %[across]\n\t"
#define EDGE_WEIGHTS(row, ror)                       \
    "ldr    %[x], %[w]\n\t"                          \
    "ldrd   %[w0], %[w1], [%[x], #12 * " row "]\n\t" \
    "ldr    %[w2], [%[x], #12 * " row " + 8]\n\t"    \
    "sxtb16 %[w0], %[w0]" ror "\n\t"                 \
    "sxtb16 %[w1], %[w1]" ror "\n\t"                 \
    "sxtb16 %[w2], %[w2]" ror "\n\t"
#define EDGE_DOWN                        \
    "ldr    %[x], %[down]\n\t"           \
    "add    %[at], %[at], %[x]\n\t"

#define EDGE_ROW_1(row, ror)                                                     \
    EDGE_WEIGHTS(row, ror)                                                       \
    EDGE_LOAD(EDGE_FIRST, ror) EDGE_ADD("0", "0")                                \
    EDGE_LOAD(EDGE_SECOND, ror) EDGE_ADD("0", "1") EDGE_ADD("1", "0")            \
    EDGE_LOAD(EDGE_THIRD, ror) EDGE_ADD("0", "2") EDGE_ADD("1", "1") EDGE_ADD("2", "0") \
    EDGE_ON                                                                      \
    EDGE_LOAD(EDGE_FIRST, ror) EDGE_ADD("1", "2") EDGE_ADD("2", "1") EDGE_ADD("3", "0") \
    EDGE_LOAD(EDGE_SECOND, ror) EDGE_ADD("2", "2") EDGE_ADD("3", "1")            \
    EDGE_LOAD(EDGE_THIRD, ror) EDGE_ADD("3", "2")
#define EDGE_ROW_2(row, ror)                                                     \
    EDGE_WEIGHTS(row, ror)                                                       \
    EDGE_LOAD(EDGE_FIRST, ror) EDGE_ADD("0", "0")                                \
    EDGE_LOAD(EDGE_SECOND, ror) EDGE_ADD("0", "1")                               \
    EDGE_LOAD(EDGE_THIRD, ror) EDGE_ADD("0", "2") EDGE_ADD("1", "0")             \
    EDGE_ON                                                                      \
    EDGE_LOAD(EDGE_FIRST, ror) EDGE_ADD("1", "1")                                \
    EDGE_LOAD(EDGE_SECOND, ror) EDGE_ADD("1", "2") EDGE_ADD("2", "0")            \
    EDGE_LOAD(EDGE_THIRD, ror) EDGE_ADD("2", "1")                                \
    EDGE_ON                                                                      \
    EDGE_LOAD(EDGE_FIRST, ror) EDGE_ADD("2", "2") EDGE_ADD("3", "0")             \
    EDGE_LOAD(EDGE_SECOND, ror) EDGE_ADD("3", "1")                               \
    EDGE_LOAD(EDGE_THIRD, ror) EDGE_ADD("3", "2")

/* Channels c and c + 2; `wide` bytes from the last column that was added up in a row to its begin. */
#define EDGE_CHANNELS(row, ror, c, wide)                                                                       \
    do {                                                                                                       \
        const int8_t *from = at;                                                                               \
        const size_t down_less = down - (wide) * across;                                                       \
        int32_t a0 = bias[c], a1 = a0, a2 = a0, a3 = a0, b0 = bias[(c) + 2], b1 = b0, b2 = b0, b3 = b0;        \
        uint32_t x, w0, w1, w2;                                                                                \
        __asm__ volatile(row("0", ror) EDGE_DOWN row("1", ror) EDGE_DOWN row("2", ror)                         \
                         : [a0] "+r"(a0), [a1] "+r"(a1), [a2] "+r"(a2), [a3] "+r"(a3), [b0] "+r"(b0),          \
                           [b1] "+r"(b1), [b2] "+r"(b2), [b3] "+r"(b3), [at] "+r"(from), [x] "=&r"(x),         \
                           [w0] "=&r"(w0), [w1] "=&r"(w1), [w2] "=&r"(w2)                                      \
                         : [across] "r"(across), [w] "m"(w), [down] "m"(down_less)                             \
                         : "memory");                                                                          \
        acc[c] = a0, acc[4 + (c)] = a1, acc[8 + (c)] = a2, acc[12 + (c)] = a3;                                 \
        acc[(c) + 2] = b0, acc[6 + (c)] = b1, acc[10 + (c)] = b2, acc[14 + (c)] = b3;                          \
    } while (0)

static __attribute__((noinline)) void edge_depthwise_3x3_1(const int8_t *at, size_t across, size_t down, const uint32_t *w,
                                                           const int32_t *bias, int32_t *acc) {
    EDGE_CHANNELS(EDGE_ROW_1, "", 0, 3);
    EDGE_CHANNELS(EDGE_ROW_1, ", ror #8", 1, 3);
}

static __attribute__((noinline)) void edge_depthwise_3x3_2(const int8_t *at, size_t across, size_t down, const uint32_t *w,
                                                           const int32_t *bias, int32_t *acc) {
    EDGE_CHANNELS(EDGE_ROW_2, "", 0, 6);
    EDGE_CHANNELS(EDGE_ROW_2, ", ror #8", 1, 6);
}

#elif EDGE_DSP

static void depthwise_3x3(const int8_t *at, size_t across, size_t down, size_t along, const uint32_t *w,
                          const int32_t *bias, int32_t *acc) {
    for (uint32_t p = 0; p < 4; ++p, at += along, acc += 4) {
        memcpy(acc, bias, 4 * sizeof *acc);
        for (uint32_t tap = 0; tap < 9; ++tap) {
            const uint32_t word = edge_load4(at + tap / 3 * down + tap % 3 * across);
            const uint32_t even = edge_sxtb16(word), odd = edge_sxtb16_ror8(word);
            acc[0] = edge_smlabb(even, edge_sxtb16(w[tap]), acc[0]);
            acc[2] = edge_smlatt(even, edge_sxtb16(w[tap]), acc[2]);
            acc[1] = edge_smlabb(odd, edge_sxtb16_ror8(w[tap]), acc[1]);
            acc[3] = edge_smlatt(odd, edge_sxtb16_ror8(w[tap]), acc[3]);
        }
    }
}

static void edge_depthwise_3x3_1(const int8_t *at, size_t across, size_t down, const uint32_t *w, const int32_t *bias,
                                 int32_t *acc) {
    depthwise_3x3(at, across, down, across, w, bias, acc);
}

static void edge_depthwise_3x3_2(const int8_t *at, size_t across, size_t down, const uint32_t *w, const int32_t *bias,
                                 int32_t *acc) {
    depthwise_3x3(at, across, down, 2 * across, w, bias, acc);
}

#endif

#endif
