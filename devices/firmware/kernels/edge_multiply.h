/* Products of two output channels: with four pixels of scratch, or with one row of bytes.
 *
 * A chunk of CONV and DENSE is a block for each pair of output channels (of each group): struct
 * edge_pair, then words of weights { a[k], b[k], a[k'], b[k'] }, where k and k' are the two numbers
 * of an input that lie together: of four bytes the first and third, the second and fourth; of what
 * is left over after the last four, the first and second, the third and nothing.
 *
 * Scratch holds four pixels as 16-bit numbers: word 4 * i + p is the i-th two numbers of pixel p.
 */
#ifndef EDGE_MULTIPLY_H
#define EDGE_MULTIPLY_H

#include "edge_output.h"

struct edge_pair {
    int32_t bias[2];
    struct edge_scale scale[2];
};

/* The `made` outputs of n numbers that lie together, and where the blocks after them begin. */
const uint8_t *edge_multiply_row(const int8_t *in, uint32_t n, const uint8_t *chunk, int8_t *out, uint32_t made,
                                 const struct edge_places *places);

#if EDGE_DSP_NATIVE

#define EDGE_WORD(pixels_01, pixels_23)      \
    "ldr    %[w0], [%[w]], #4\n\t"           \
    pixels_01                                \
    "sxtb16 %[w1], %[w0], ror #8\n\t"        \
    "sxtb16 %[w0], %[w0]\n\t"                \
    "smlad  %[a0], %[x0], %[w0], %[a0]\n\t"  \
    "smlad  %[a1], %[x1], %[w0], %[a1]\n\t"  \
    "smlad  %[b0], %[x0], %[w1], %[b0]\n\t"  \
    "smlad  %[b1], %[x1], %[w1], %[b1]\n\t"  \
    pixels_23                                \
    "smlad  %[a2], %[x0], %[w0], %[a2]\n\t"  \
    "smlad  %[a3], %[x1], %[w0], %[a3]\n\t"  \
    "smlad  %[b2], %[x0], %[w1], %[b2]\n\t"  \
    "smlad  %[b3], %[x1], %[w1], %[b3]\n\t"
#define EDGE_WORD_AT(at, next)                                   \
    EDGE_WORD("ldrd %[x0], %[x1], [%[x], #" #at "]\n\t",         \
              "ldrd %[x0], %[x1], [%[x], #" #next "]\n\t")

/* acc[0..3]: the first channel of four pixels, acc[4..7]: the second. */
static inline void edge_multiply_4x2(const uint32_t *x, const uint32_t *w, uint32_t words,
                                     const int32_t bias[2], int32_t acc[8]) {
    int32_t a0 = bias[0], a1 = a0, a2 = a0, a3 = a0, b0 = bias[1], b1 = b0, b2 = b0, b3 = b0;
    uint32_t w0, w1, x0, x1;
    const uint32_t *volatile end4 = w + (words & ~(uint32_t)3);
    const uint32_t *volatile end = w + words;
    __asm__ volatile(
        "b 2f\n"
        "1:\n\t"
        EDGE_WORD_AT(0, 8) EDGE_WORD_AT(16, 24) EDGE_WORD_AT(32, 40) EDGE_WORD_AT(48, 56)
        "adds %[x], %[x], #64\n"
        "2:\n\t"
        "ldr %[w0], %[end4]\n\t"
        "cmp %[w], %[w0]\n\t"
        "bne 1b\n\t"
        "b 4f\n"
        "3:\n\t"
        EDGE_WORD_AT(0, 8)
        "adds %[x], %[x], #16\n"
        "4:\n\t"
        "ldr %[w0], %[end]\n\t"
        "cmp %[w], %[w0]\n\t"
        "bne 3b\n\t"
        : [a0] "+r"(a0), [a1] "+r"(a1), [a2] "+r"(a2), [a3] "+r"(a3), [b0] "+r"(b0),
          [b1] "+r"(b1), [b2] "+r"(b2), [b3] "+r"(b3), [x] "+r"(x), [w] "+r"(w), [w0] "=&r"(w0),
          [w1] "=&r"(w1), [x0] "=&r"(x0), [x1] "=&r"(x1)
        : [end4] "m"(end4), [end] "m"(end)
        : "cc", "memory");
    acc[0] = a0, acc[1] = a1, acc[2] = a2, acc[3] = a3;
    acc[4] = b0, acc[5] = b1, acc[6] = b2, acc[7] = b3;
}

#elif EDGE_DSP

static inline void edge_multiply_4x2(const uint32_t *x, const uint32_t *w, uint32_t words,
                                     const int32_t bias[2], int32_t acc[8]) {
    for (uint32_t p = 0; p < 4; ++p)
        acc[p] = bias[0], acc[4 + p] = bias[1];
    for (; words > 0; --words, x += 4, ++w)
        for (uint32_t p = 0; p < 4; ++p) {
            acc[p] = edge_smlad(x[p], edge_sxtb16(*w), acc[p]);
            acc[4 + p] = edge_smlad(x[p], edge_sxtb16_ror8(*w), acc[4 + p]);
        }
}

#else

static inline void edge_multiply_4x2(const uint32_t *x, const uint32_t *w, uint32_t words,
                                     const int32_t bias[2], int32_t acc[8]) {
    const int8_t *weight = (const int8_t *)w;
    for (uint32_t p = 0; p < 4; ++p)
        acc[p] = bias[0], acc[4 + p] = bias[1];
    for (; words > 0; --words, x += 4, weight += 4)
        for (uint32_t p = 0; p < 4; ++p) {
            const int32_t low = (int16_t)(uint16_t)x[p], high = (int16_t)(uint16_t)(x[p] >> 16);
            acc[p] = edge_sum(acc[p], low * weight[0] + high * weight[2]);
            acc[4 + p] = edge_sum(acc[4 + p], low * weight[1] + high * weight[3]);
        }
}

#endif

/* acc[0]: the first channel of one pixel of n bytes at x, acc[4]: the second. */
static inline void edge_multiply_1x2(const int8_t *x, uint32_t n, const uint32_t *w,
                                                        const int32_t bias[2], int32_t *acc) {
    int32_t a = bias[0], b = bias[1];
#if EDGE_DSP
    for (; n >= 4; n -= 4, x += 4, w += 2) {
        const uint32_t word = edge_load4(x), even = edge_sxtb16(word), odd = edge_sxtb16_ror8(word);
        a = edge_smlad(even, edge_sxtb16(w[0]), a);
        b = edge_smlad(even, edge_sxtb16_ror8(w[0]), b);
        a = edge_smlad(odd, edge_sxtb16(w[1]), a);
        b = edge_smlad(odd, edge_sxtb16_ror8(w[1]), b);
    }
    const int8_t *weight = (const int8_t *)w;
#else
    const int8_t *weight = (const int8_t *)w;
    for (; n >= 4; n -= 4, x += 4, weight += 8) {
        a = edge_sum(a, x[0] * weight[0] + x[2] * weight[2] + x[1] * weight[4] + x[3] * weight[6]);
        b = edge_sum(b, x[0] * weight[1] + x[2] * weight[3] + x[1] * weight[5] + x[3] * weight[7]);
    }
#endif
    for (; n > 0; --n, ++x, weight += 2) {
        a = edge_sum(a, x[0] * weight[0]);
        b = edge_sum(b, x[0] * weight[1]);
    }
    acc[0] = a, acc[4] = b;
}

#endif
