/* Integer arithmetic of scales, as SPEC.md (section 1) defines it. */
#ifndef EDGE_ARITHMETIC_H
#define EDGE_ARITHMETIC_H

#include <stdint.h>
#include <string.h>

/* The sum without overflow in the sense of C: it wraps. */
static inline int32_t edge_sum(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

static inline int32_t edge_saturated(int64_t x) {
    return x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : (int32_t)x;
}

/* (a * b) / 2^31, rounded to nearest. To add 2^30 and to shift is the same as the nudge by sign and
 * the division that truncates. */
static inline int32_t edge_doubled(int32_t a, int32_t b) {
    const int64_t product = (int64_t)a * b;
    if (a == INT32_MIN && b == INT32_MIN)
        return INT32_MAX;
    return (int32_t)((product + ((int64_t)1 << 30)) >> 31);
}

/* x / 2^n, rounded to nearest, halves away from zero; 0 <= n <= 31. */
static inline int32_t edge_halved(int32_t x, int32_t n) {
    const uint32_t mask = ((uint32_t)1 << n) - 1;
    const uint32_t rest = (uint32_t)x & mask;
    const uint32_t half = (mask >> 1) + (x < 0);
    return (x >> n) + (rest > half);
}

/* x * m * 2^(s - 31), rounded twice; a shift to the left saturates. */
static inline int32_t edge_scaled(int32_t x, int32_t m, int32_t s) {
    if (s > 0)
        x = edge_saturated((int64_t)x * ((int64_t)1 << (s & 31)));
    return edge_halved(edge_doubled(x, m), s < 0 ? -s & 31 : 0);
}

static inline int32_t edge_clamped(int32_t x, int32_t low, int32_t high) {
    return x < low ? low : x > high ? high : x;
}

/* The number of an output: x is any int32. */
static inline int8_t edge_number(int32_t x, int32_t zero, int32_t low, int32_t high) {
    return (int8_t)edge_clamped(edge_clamped(x, -512, 511) + zero, low, high);
}

static inline uint32_t edge_load4(const void *from) {
    uint32_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

#endif
