/* SOFTMAX in fixed point, as TensorFlow Lite's reference kernel computes it (gemmlowp's functions:
 * Jacob et al. 2018, arXiv 1712.05877). A number in Q(i) has i bits before the point, sign apart. */
#include "edge_arithmetic.h"
#include "edge_kernels.h"

static int32_t shifted(int32_t x, int32_t n) {
    return edge_saturated((int64_t)x * ((int64_t)1 << n));
}

/* e^x for x in [-1/4, 0), Q0: a polynomial around -1/8. */
static int32_t exp_near_zero(int32_t x) {
    const int32_t y = x + (1 << 28);
    const int32_t y2 = edge_doubled(y, y), y3 = edge_doubled(y2, y), y4 = edge_doubled(y2, y2);
    const int32_t third = edge_doubled(edge_halved(y4, 2) + y3, 715827883);
    return 1895147668 + edge_doubled(1895147668, y + edge_halved(third + y2, 1));
}

/* e^x for x <= 0 in Q5, as Q0: a quarter at most, times e^(-2^k) for each bit above it. */
static int32_t exp_negative(int32_t x) {
    static const int32_t factors[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const int32_t quarter = 1 << 24, part = (x & (quarter - 1)) - quarter;
    const int32_t rest = part - x;
    int32_t result = exp_near_zero(shifted(part, 5));
    if (x == 0)
        return INT32_MAX;
    for (int32_t i = 0; i < 7; ++i)
        if (rest & (int32_t)(1u << (24 + i)))
            result = edge_doubled(result, factors[i]);
    return result;
}

/* 1 / (1 + x) for x in [0, 1), Q0: three steps of Newton's method in Q2. */
static int32_t reciprocal_of_one_plus(int32_t x) {
    const int32_t half = (int32_t)(((int64_t)x + INT32_MAX + 1) / 2);
    int32_t guess = 1515870810 + edge_doubled(half, -1010580540);
    for (int i = 0; i < 3; ++i) {
        const int32_t rest = (1 << 29) - edge_doubled(half, guess);
        guess += shifted(edge_doubled(guess, rest), 2);
    }
    return shifted(guess, 1);
}

static int32_t leading_zeros(uint32_t x) {
    int32_t n = 0;
    for (; n < 32 && !(x >> 31); ++n)
        x <<= 1;
    return n;
}

static int32_t softmax_exp(const struct edge_softmax *op, int32_t difference) {
    return exp_negative(edge_scaled(difference, op->m, op->s));
}

static void softmax_row(const struct edge_softmax *op, const int8_t *in, int8_t *out) {
    int32_t most = -128, sum = 0;
    for (uint32_t i = 0; i < op->n; ++i)
        most = in[i] > most ? in[i] : most;
    for (uint32_t i = 0; i < op->n; ++i)
        if (in[i] - most >= op->least)
            sum = edge_sum(sum, edge_halved(softmax_exp(op, in[i] - most), 12));
    const int32_t zeros = leading_zeros((uint32_t)sum);
    const int32_t inverse = reciprocal_of_one_plus((int32_t)(((uint32_t)sum << (zeros & 31)) - ((uint32_t)1 << 31)));
    const int32_t shift = 12 - zeros + 31 - 8;
    for (uint32_t i = 0; i < op->n; ++i) {
        int32_t x = -128;
        if (in[i] - most >= op->least)
            x += edge_halved(edge_doubled(inverse, softmax_exp(op, in[i] - most)), shift < 31 ? shift : 31);
        out[i] = (int8_t)edge_clamped(x, -128, 127);
    }
}

void edge_softmax_run(const struct edge_softmax *op) {
    for (uint32_t row = 0; row < op->rows; ++row)
        softmax_row(op, op->in + (size_t)row * op->n, op->out + (size_t)row * op->n);
}
