/* ADD, MUL and MAP: one element after the other. */
#include "edge_kernels.h"
#include "edge_output.h"

/* n elements of a and of b. */
static void add_exact(const struct edge_add *op, const int8_t *a, const int8_t *b, int8_t *out, uint32_t n) {
    for (uint32_t i = 0; i < n; ++i) {
        const int32_t x = edge_scaled((a[i] - op->zero_a) * (1 << 20), op->m_a, op->s_a);
        const int32_t y = edge_scaled((b[i] - op->zero_b) * (1 << 20), op->m_b, op->s_b);
        const int32_t sum = edge_scaled(edge_saturated((int64_t)x + y), op->m_out, op->s_out);
        out[i] = edge_number(sum, op->zero_out, op->low, op->high);
    }
}

static void mul_exact(const struct edge_mul *op, const int8_t *a, const int8_t *b, int8_t *out, uint32_t n) {
    for (uint32_t i = 0; i < n; ++i) {
        const int32_t product = (a[i] - op->zero_a) * (b[i] - op->zero_b);
        out[i] = edge_number(edge_scaled(product, op->m_out, op->s_out), op->zero_out, op->low, op->high);
    }
}

#if EDGE_DSP

/* Both roundings in one, as in edge_output.h: of a number doubled, by a shift of n >= 0. */
struct edge_ratio {
    int32_t m, n, half, sign;
};

static struct edge_ratio ratio_of(int32_t m, int32_t n, int32_t zero) {
    const int32_t half = n > 0 ? (int32_t)((uint32_t)(2 * zero + 1) << (n - 1)) : zero;
    return (struct edge_ratio){m, n, half, n > 0 ? -1 : 0};
}

static inline int32_t ratio_times(const struct edge_ratio *ratio, int32_t twice) {
    return (edge_smmlar(twice, ratio->m, ratio->half) + ((twice >> 31) & ratio->sign)) >> ratio->n;
}

/* The operand with the larger scale is exact: m_a = 2^30, so that it is only shifted. */
static void add_fast(const struct edge_add *op, const int8_t *a, const int8_t *b, int8_t *out, uint32_t n) {
    const struct edge_ratio second = ratio_of(op->m_b, -op->s_b, 0), sum = ratio_of(op->m_out, -op->s_out, op->zero_out);
    const int32_t shift = 20 + op->s_a, zero_a = op->zero_a * (1 << shift), zero_b = op->zero_b * (1 << 21);
    for (const int8_t *const end = out + n; out < end; ++out) {
        const int32_t x = (int32_t)((uint32_t)*a++ << shift) - zero_a;
        const int32_t y = (int32_t)((uint32_t)*b++ << 21) - zero_b;
        const int32_t twice = x + 2 * ratio_times(&second, y);
        *out = (int8_t)edge_ssat8((edge_smmlar(twice, sum.m, sum.half) + (twice >> 31)) >> sum.n);
    }
}

static int add_is_fast(const struct edge_add *op) {
    return op->m_a == 1 << 30 && op->s_a <= 0 && op->s_a >= -19 && op->s_b <= 0 && op->s_b >= -20 && op->s_out < 0 &&
           op->s_out >= -20;
}

/* The same with a and b exchanged. */
static struct edge_add add_exchanged(const struct edge_add *op) {
    struct edge_add other = *op;
    other.m_a = op->m_b, other.s_a = op->s_b, other.zero_a = op->zero_b;
    other.m_b = op->m_a, other.s_b = op->s_a, other.zero_b = op->zero_a;
    return other;
}

static void add_run(const struct edge_add *op, const int8_t *a, const int8_t *b, int8_t *out, uint32_t n) {
    const struct edge_add other = add_exchanged(op);
    if (add_is_fast(op))
        add_fast(op, a, b, out, n);
    else if (add_is_fast(&other))
        add_fast(&other, b, a, out, n);
    else {
        add_exact(op, a, b, out, n);
        return;
    }
    edge_clamp(out, n, op->low, op->high);
}

static void mul_run(const struct edge_mul *op, const int8_t *a, const int8_t *b, int8_t *out, uint32_t n) {
    if (op->s_out >= 0 || op->s_out < -20) {
        mul_exact(op, a, b, out, n);
        return;
    }
    const struct edge_ratio ratio = ratio_of(op->m_out, -op->s_out, op->zero_out);
    const int32_t zero_a = op->zero_a, zero_b = op->zero_b;
    for (uint32_t i = 0; i < n; ++i) {
        const int32_t twice = (a[i] - zero_a) * (b[i] - zero_b) * 2;
        out[i] = (int8_t)edge_ssat8((edge_smmlar(twice, ratio.m, ratio.half) + (twice >> 31)) >> ratio.n);
    }
    edge_clamp(out, n, op->low, op->high);
}

#else

#define add_run add_exact
#define mul_run mul_exact

#endif

/* As many elements of b as there are, over and over. */
void edge_add_run(const struct edge_add *op) {
    for (uint32_t i = 0; i < op->n; i += op->n_b)
        add_run(op, op->a + i, op->b, op->out + i, op->n - i < op->n_b ? op->n - i : op->n_b);
}

void edge_mul_run(const struct edge_mul *op) {
    for (uint32_t i = 0; i < op->n; i += op->n_b)
        mul_run(op, op->a + i, op->b, op->out + i, op->n - i < op->n_b ? op->n - i : op->n_b);
}

void edge_map_run(const struct edge_map *op) {
    const int8_t *const table = (const int8_t *)op->chunk + 128;
    for (uint32_t i = 0; i < op->n; ++i)
        op->out[i] = table[op->in[i]];
}
