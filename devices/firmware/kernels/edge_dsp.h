/* Instructions of the DSP extension of ARMv7E-M (Cortex-M4, M7) as functions.
 *
 * EDGE_DSP is 1 where the compiler may use them. With -DEDGE_DSP=1 on another machine the same
 * functions are written in C, so that the path that uses them is tested there.
 */
#ifndef EDGE_DSP_H
#define EDGE_DSP_H

#include <stdint.h>

#ifndef EDGE_DSP
#ifdef __ARM_FEATURE_DSP
#define EDGE_DSP 1
#else
#define EDGE_DSP 0
#endif
#endif

#if EDGE_DSP && defined(__ARM_FEATURE_DSP)
#define EDGE_DSP_NATIVE 1
#else
#define EDGE_DSP_NATIVE 0
#endif

#if EDGE_DSP_NATIVE

#define EDGE_DSP_UNARY(name, text)                                     \
    static inline uint32_t edge_##name(uint32_t a) {               \
        uint32_t result;                                           \
        __asm__(text : "=r"(result) : "r"(a));                     \
        return result;                                             \
    }
#define EDGE_DSP_SUM(name, text)                                               \
    static inline int32_t edge_##name(uint32_t a, uint32_t b, int32_t sum) { \
        __asm__(text : "=r"(sum) : "r"(a), "r"(b), "0"(sum));                \
        return sum;                                                          \
    }

EDGE_DSP_UNARY(sxtb16, "sxtb16 %0, %1")
EDGE_DSP_UNARY(sxtb16_ror8, "sxtb16 %0, %1, ror #8")
EDGE_DSP_SUM(smlad, "smlad %0, %1, %2, %0")
EDGE_DSP_SUM(smlabb, "smlabb %0, %1, %2, %0")
EDGE_DSP_SUM(smlatt, "smlatt %0, %1, %2, %0")

static inline int32_t edge_smmulr(int32_t a, int32_t b) {
    int32_t result;
    __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
}

static inline int32_t edge_smmlar(int32_t a, int32_t b, int32_t sum) {
    int32_t result;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}

static inline int32_t edge_ssat8(int32_t x) {
    __asm__("ssat %0, #8, %1" : "=r"(x) : "r"(x));
    return x;
}

#elif EDGE_DSP

#define EDGE_LOW(x) ((int32_t)(int16_t)(uint16_t)(x))
#define EDGE_HIGH(x) ((int32_t)(int16_t)(uint16_t)((x) >> 16))

/* Bytes 0 and 2 as two halves. */
static inline uint32_t edge_sxtb16(uint32_t a) {
    const uint32_t low = (uint32_t)(int32_t)(int8_t)(uint8_t)a;
    const uint32_t high = (uint32_t)(int32_t)(int8_t)(uint8_t)(a >> 16);
    return (low & 0xFFFF) | (high << 16);
}

/* Bytes 1 and 3 as two halves. */
static inline uint32_t edge_sxtb16_ror8(uint32_t a) {
    return edge_sxtb16((a >> 8) | (a << 24));
}

/* The upper half of a * b, rounded. */
static inline int32_t edge_smmulr(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32);
}

/* The same with a sum. */
static inline int32_t edge_smmlar(int32_t a, int32_t b, int32_t sum) {
    return (int32_t)((uint32_t)sum + (uint32_t)edge_smmulr(a, b));
}

static inline int32_t edge_smlabb(uint32_t a, uint32_t b, int32_t sum) {
    return (int32_t)((uint32_t)sum + (uint32_t)(EDGE_LOW(a) * EDGE_LOW(b)));
}

static inline int32_t edge_smlatt(uint32_t a, uint32_t b, int32_t sum) {
    return (int32_t)((uint32_t)sum + (uint32_t)(EDGE_HIGH(a) * EDGE_HIGH(b)));
}

static inline int32_t edge_smlad(uint32_t a, uint32_t b, int32_t sum) {
    return edge_smlatt(a, b, edge_smlabb(a, b, sum));
}

static inline int32_t edge_ssat8(int32_t x) {
    return x < -128 ? -128 : x > 127 ? 127 : x;
}

#endif

#endif
