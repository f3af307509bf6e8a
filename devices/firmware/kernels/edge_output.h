/* From sums to numbers: four at a time with one multiplier, and the clamp of what was written. */
#ifndef EDGE_OUTPUT_H
#define EDGE_OUTPUT_H

#include "edge_arithmetic.h"
#include "edge_dsp.h"

/* In a chunk: real multiplier = m * 2^(shift - 31). wide: a sum may reach 2^30. */
struct edge_scale {
    int32_t m;
    int16_t shift;
    uint16_t wide;
};

/* Where four outputs lie: at[0] = 0; a pixel that is missing lies where the last one does. */
struct edge_places {
    uint32_t at[4];
};

/* acc[0], acc[step], ... become out[at[0]], out[at[1]], ...
 *
 * With a shift to the right, and sums below 2^30, both roundings together are one multiplication
 * that rounds, and a sum of the sign, one half and the zero point before the shift. */
static inline void edge_write4(const int32_t *acc, uint32_t step, const struct edge_scale *scale,
                               int32_t zero, int8_t *out, const struct edge_places *places) {
    const int32_t m = scale->m, n = -scale->shift;
#if EDGE_DSP
    if (n >= 1 && n <= 20 && !scale->wide) {
        const int32_t half = (int32_t)(((uint32_t)zero << n) + ((uint32_t)1 << (n - 1)));
        for (uint32_t i = 0; i < 4; ++i) {
            const int32_t x = edge_smmulr((int32_t)((uint32_t)acc[i * step] << 1), m);
            out[places->at[i]] = (int8_t)edge_ssat8((x + (x >> 31) + half) >> n);
        }
        return;
    }
#endif
    for (uint32_t i = 0; i < 4; ++i)
        out[places->at[i]] = edge_number(edge_scaled(acc[i * step], m, -n), zero, -128, 127);
}

/* Keeps n numbers between low and high. */
static inline void edge_clamp(int8_t *out, uint32_t n, int8_t low, int8_t high) {
    if (low == -128 && high == 127)
        return;
    for (uint32_t i = 0; i < n; ++i)
        out[i] = (int8_t)edge_clamped(out[i], low, high);
}

#endif
