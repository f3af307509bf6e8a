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

#define EDGE_DSP_2(name, text)                                     \
    static inline uint32_t edge_##name(uint32_t a) {               \
        uint32_t result;                                           \
        __asm__(text : "=r"(result) : "r"(a));                     \
        return result;                                             \
    }
#define EDGE_DSP_3(name, result_type, a_type, text)                \
    static inline result_type edge_##name(a_type a, a_type b) {    \
        result_type result;                                        \
        __asm__(text : "=r"(result) : "r"(a), "r"(b));             \
        return result;                                             \
    }
#define EDGE_DSP_4(name, text)                                               \
    static inline int32_t edge_##name(uint32_t a, uint32_t b, int32_t sum) { \
        __asm__(text : "=r"(sum) : "r"(a), "r"(b), "0"(sum));                \
        return sum;                                                          \
    }

EDGE_DSP_2(sxtb16, "sxtb16 %0, %1")
EDGE_DSP_2(sxtb16_ror8, "sxtb16 %0, %1, ror #8")
EDGE_DSP_3(pkhbt, uint32_t, uint32_t, "pkhbt %0, %1, %2, lsl #16")
EDGE_DSP_3(pkhtb, uint32_t, uint32_t, "pkhtb %0, %1, %2, asr #16")
EDGE_DSP_3(smmulr, int32_t, int32_t, "smmulr %0, %1, %2")
EDGE_DSP_4(smlad, "smlad %0, %1, %2, %0")
EDGE_DSP_4(smlabb, "smlabb %0, %1, %2, %0")
EDGE_DSP_4(smlatt, "smlatt %0, %1, %2, %0")

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

/* The lower half of a, the lower half of b above it. */
static inline uint32_t edge_pkhbt(uint32_t a, uint32_t b) {
    return (a & 0xFFFF) | (b << 16);
}

/* The upper half of a, the upper half of b below it. */
static inline uint32_t edge_pkhtb(uint32_t a, uint32_t b) {
    return (a & 0xFFFF0000) | (b >> 16);
}

/* The upper half of a * b, rounded. */
static inline int32_t edge_smmulr(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32);
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
