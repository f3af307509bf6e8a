/* From sums to numbers: four pixels of each channel with its multiplier, and the clamp of what was written. */
#ifndef EDGE_OUTPUT_H
#define EDGE_OUTPUT_H

#include "edge_arithmetic.h"
#include "edge_dsp.h"

/* In a chunk: real multiplier = m * 2^(shift - 31). Where a sum may reach 2^30, 64 is taken off the shift. */
struct edge_scale {
    int32_t m;
    int32_t shift;
};

/* The zero point of an output, and where the second to fourth of four pixels lie from the first. One that
 * is missing lies where the last one does, and is written before it: its sum may be anything. */
struct edge_places {
    int32_t zero2; /* 2 * zero point + 1 */
    uint32_t at[3];
};

static inline struct edge_places edge_places_of(int32_t zero, uint32_t last, uint32_t out_c) {
    struct edge_places places = {2 * zero + 1, {0, 0, 0}};
    for (uint32_t p = 0; p < 3; ++p)
        places.at[p] = (p + 1 < last ? p + 1 : last) * out_c;
    return places;
}

/* acc[0], acc[step], ... become out[0], out[at[0]], ..., the last one first. */
void edge_write4_exact(const int32_t *acc, uint32_t step, const struct edge_scale *scale, int8_t *out,
                       const struct edge_places *places);

/* Keeps n numbers between low and high. */
void edge_clamp(int8_t *out, uint32_t n, int8_t low, int8_t high);

#if EDGE_DSP_NATIVE

#define EDGE_WRITE(acc, place)                   \
    "ldr    %[a], [%[acc], " acc "]\n\t"         \
    "lsls   %[a], %[a], #1\n\t"                  \
    "smmlar %[x], %[a], %[m], %[half]\n\t"       \
    "add    %[x], %[x], %[a], asr #31\n\t"       \
    "asr    %[x], %[x], %[n]\n\t"                \
    "ssat   %[x], #8, %[x]\n\t"                  \
    "strb   %[x], [%[out]" place "\n\t"

/* Channels as long as their shifts allow it; how many are left. */
#define EDGE_WRITE_FAST(step, step2, step3, next)                                                             \
    do {                                                                                                      \
        int32_t a, x, m, n, half;                                                                             \
        __asm__ volatile("1:\n\t"                                                                             \
                         "ldrd   %[m], %[n], [%[scale]]\n\t"                                                  \
                         "mvns   %[n], %[n]\n\t"                                                              \
                         "cmp    %[n], #19\n\t"                                                               \
                         "bhi    2f\n\t"                                                                      \
                         "lsl    %[half], %[zero2], %[n]\n\t"                                                 \
                         "adds   %[n], %[n], #1\n\t"                                                          \
                         EDGE_WRITE("#" step3, ", %[at2]]") EDGE_WRITE("#" step2, ", %[at1]]")                \
                         EDGE_WRITE("#" step, ", %[at0]]") EDGE_WRITE("#0", "], #1")                          \
                         "adds   %[acc], %[acc], #" next "\n\t"                                               \
                         "adds   %[scale], %[scale], #8\n\t"                                                  \
                         "subs   %[left], %[left], #1\n\t"                                                    \
                         "bne    1b\n"                                                                        \
                         "2:\n\t"                                                                             \
                         : [acc] "+r"(acc), [scale] "+r"(scale), [out] "+r"(out), [left] "+r"(left),          \
                           [a] "=&r"(a), [x] "=&r"(x), [m] "=&r"(m), [n] "=&r"(n), [half] "=&r"(half)         \
                         : [zero2] "r"(places->zero2), [at0] "r"(places->at[0]), [at1] "r"(places->at[1]),    \
                           [at2] "r"(places->at[2])                                                           \
                         : "cc", "memory");                                                                   \
    } while (0)

#elif EDGE_DSP

#define EDGE_WRITE(i, place)                                                                    \
    do {                                                                                        \
        const int32_t twice = (int32_t)((uint32_t)acc[i] << 1);                                 \
        const int32_t x = edge_smmlar(twice, scale->m, half) + (twice >> 31);                   \
        out[place] = (int8_t)edge_ssat8(x >> (n + 1));                                          \
    } while (0)
#define EDGE_WRITE_FAST(step, step2, step3, next)                                               \
    do {                                                                                        \
        const int32_t n = ~scale->shift;                                                        \
        if (n < 0 || n > 19)                                                                    \
            break;                                                                              \
        const int32_t half = (int32_t)((uint32_t)places->zero2 << n);                           \
        EDGE_WRITE(step3 / 4, places->at[2]);                                                   \
        EDGE_WRITE(step2 / 4, places->at[1]);                                                   \
        EDGE_WRITE(step / 4, places->at[0]);                                                    \
        EDGE_WRITE(0, 0);                                                                       \
        acc += next / 4, ++scale, ++out, --left;                                                \
    } while (left > 0)

#else

#define EDGE_WRITE_FAST(step, step2, step3, next) (void)0

#endif

#if EDGE_DSP_NATIVE
#define EDGE_BYTES(n) #n
#else
#define EDGE_BYTES(n) n
#endif

/* `left` channels of four pixels. acc: the sums of a channel together, or those of a pixel.
 *
 * With a shift to the right by 1 to 20, and sums below 2^30, both roundings are one multiplication
 * that rounds, and a sum of the sign, one half and the zero point before the shift. The sign of the
 * product is that of the sum, or the product is 0, which one half keeps from becoming another number. */
static inline void edge_write_channels(const int32_t *acc, const struct edge_scale *scale, int8_t *out, uint32_t left,
                                       const struct edge_places *places) {
    for (;; acc += 4, ++scale, ++out, --left) {
        EDGE_WRITE_FAST(EDGE_BYTES(4), EDGE_BYTES(8), EDGE_BYTES(12), EDGE_BYTES(16));
        if (left == 0)
            return;
        edge_write4_exact(acc, 1, scale, out, places);
        if (left == 1)
            return;
    }
}

static inline void edge_write_lanes(const int32_t *acc, const struct edge_scale *scale, int8_t *out, uint32_t left,
                                    const struct edge_places *places) {
    for (;; ++acc, ++scale, ++out, --left) {
        EDGE_WRITE_FAST(EDGE_BYTES(16), EDGE_BYTES(32), EDGE_BYTES(48), EDGE_BYTES(4));
        if (left == 0)
            return;
        edge_write4_exact(acc, 4, scale, out, places);
        if (left == 1)
            return;
    }
}

#endif
