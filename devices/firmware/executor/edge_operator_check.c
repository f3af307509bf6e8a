#include <stddef.h>

#include "edge_operator.h"
#include "edge_output.h"

/* Every product of sizes below has at most 48 bits, and so fits in 64. */

static int edge_outside(uint32_t at, uint64_t bytes, const struct edge_scope *scope)
{
    return at > scope->arena_bytes || bytes > scope->arena_bytes - at;
}

static int edge_is_scale(int32_t m, int32_t s, int32_t least)
{
    return (m == 0 || m >= least) && s >= -31 && s <= 30;
}

static int edge_is_multiplier(int32_t m, int32_t s)
{
    return edge_is_scale(m, s, 0x40000000);
}

static int edge_is_size(const struct edge_scope *scope, uint64_t bytes)
{
    return scope->data != NULL && scope->bytes == bytes;
}

/* Whether a chunk of CONV, DEPTHWISE or DENSE has that many bytes, and right scales: in each block after the biases of its channels. */
static int edge_check_blocks(const struct edge_scope *scope, size_t bytes, uint32_t blocks, uint32_t channels)
{
    if (!edge_is_size(scope, bytes)) {
        return EDGE_TABLE_CHUNK;
    }
    for (uint32_t i = 0; i < blocks; i++) {
        const uint8_t *block = scope->data + i * (scope->bytes / blocks);
        const struct edge_scale *scales = (const void *)(block + 4U * channels);
        for (uint32_t c = 0; c < channels; c++) {
            if (!edge_is_multiplier(scales[c].m, scales[c].shift)) {
                return EDGE_TABLE_CHUNK;
            }
        }
    }
    return 0;
}

static uint64_t edge_volume(uint16_t h, uint16_t w, uint16_t c)
{
    return (uint64_t)h * w * c;
}

static int edge_check_conv(const struct edge_conv_operator *op, const struct edge_scope *scope)
{
    int depthwise = op->head.code == EDGE_DEPTHWISE;
    uint64_t in = edge_volume(op->in_h, op->in_w, op->in_c);
    uint64_t out = edge_volume(op->out_h, op->out_w, op->out_c);
    int empty = in == 0U || out == 0U || op->k_h == 0U || op->k_w == 0U || op->stride_h == 0U || op->stride_w == 0U;
    if (empty || op->dilation_h == 0U || op->dilation_w == 0U || op->groups == 0U || op->zero != 0U || op->low > op->high) {
        return EDGE_TABLE_RANGE;
    }
    if (op->in_c % op->groups != 0U || op->out_c % op->groups != 0U || (depthwise && op->groups != op->in_c)) {
        return EDGE_TABLE_RANGE;
    }
    struct edge_conv arguments = edge_conv_arguments(op, NULL, NULL);
    size_t scratch = depthwise ? edge_depthwise_scratch(&arguments) : edge_conv_scratch(&arguments);
    if (edge_outside(op->in, in, scope) || edge_outside(op->out, out, scope)) {
        return EDGE_TABLE_OUTSIDE;
    }
    if (op->scratch % 4U != 0U || edge_outside(op->scratch, scratch, scope)) {
        return EDGE_TABLE_OUTSIDE;
    }
    if (depthwise) {
        return edge_check_blocks(scope, edge_depthwise_chunk_bytes(&arguments), (op->out_c + 3U) / 4U, 4);
    }
    uint32_t pairs = op->groups * ((op->out_c / op->groups + 1U) / 2U);
    return edge_check_blocks(scope, edge_conv_chunk_bytes(&arguments), pairs, 2);
}

static int edge_check_dense(const struct edge_dense_operator *op, const struct edge_scope *scope)
{
    if (op->rows == 0U || op->in_n == 0U || op->out_n == 0U || op->low > op->high) {
        return EDGE_TABLE_RANGE;
    }
    struct edge_dense arguments = edge_dense_arguments(op, NULL, NULL);
    if (edge_outside(op->in, (uint64_t)op->rows * op->in_n, scope) ||
        edge_outside(op->out, (uint64_t)op->rows * op->out_n, scope)) {
        return EDGE_TABLE_OUTSIDE;
    }
    if (op->scratch % 4U != 0U || edge_outside(op->scratch, edge_dense_scratch(&arguments), scope)) {
        return EDGE_TABLE_OUTSIDE;
    }
    return edge_check_blocks(scope, edge_dense_chunk_bytes(&arguments), (op->out_n + 1U) / 2U, 2);
}

/* Of ADD and MUL: a, the output, and b, which is a tensor or the chunk. */
static int edge_check_pair(const struct edge_mul_operator *op, const struct edge_scope *scope)
{
    if (op->n == 0U || op->n_b == 0U || op->n_b > op->n) {
        return EDGE_TABLE_RANGE;
    }
    if (edge_outside(op->a, op->n, scope) || edge_outside(op->out, op->n, scope)) {
        return EDGE_TABLE_OUTSIDE;
    }
    if (op->head.chunk == EDGE_NO_CHUNK) {
        return edge_outside(op->b, op->n_b, scope) ? EDGE_TABLE_OUTSIDE : 0;
    }
    return op->b == 0U && edge_is_size(scope, op->n_b) ? 0 : EDGE_TABLE_CHUNK;
}

static int edge_check_add(const union edge_any_operator *any, const struct edge_scope *scope)
{
    const struct edge_add_operator *op = &any->add;
    int zeros = op->zero == 0 && op->zero2 == 0 && op->zero3 == 0U;
    int multipliers = edge_is_multiplier(op->m_a, op->s_a) && edge_is_multiplier(op->m_b, op->s_b);
    if (!zeros || !multipliers || !edge_is_multiplier(op->m_out, op->s_out) || op->low > op->high) {
        return EDGE_TABLE_RANGE;
    }
    return edge_check_pair(&any->mul, scope); /* both begin alike */
}

static int edge_check_mul(const struct edge_mul_operator *op, const struct edge_scope *scope)
{
    if (!edge_is_multiplier(op->m_out, op->s_out) || op->low > op->high || op->zero != 0U) {
        return EDGE_TABLE_RANGE;
    }
    return edge_check_pair(op, scope);
}

/* Whether the first and the last window along an axis, and so all of them, lie partly inside the input. */
static int edge_windows_meet(uint32_t in, uint32_t out, uint32_t kernel, uint32_t stride, uint32_t pad)
{
    return pad < kernel && (out - 1U) * stride < in + pad;
}

/* Of AVERAGE and MAXIMUM: all but what only one of them has. */
static int edge_check_pool(const struct edge_average_operator *op, int meet, const struct edge_scope *scope)
{
    uint64_t in = edge_volume(op->in_h, op->in_w, op->c);
    uint64_t out = edge_volume(op->out_h, op->out_w, op->c);
    int empty = in == 0U || out == 0U || op->k_h == 0U || op->k_w == 0U || op->stride_h == 0U || op->stride_w == 0U;
    if (empty || op->zero != 0U || op->zero2 != 0U) {
        return EDGE_TABLE_RANGE;
    }
    if (meet && !(edge_windows_meet(op->in_h, op->out_h, op->k_h, op->stride_h, op->pad_top) &&
                  edge_windows_meet(op->in_w, op->out_w, op->k_w, op->stride_w, op->pad_left))) {
        return EDGE_TABLE_RANGE;
    }
    return edge_outside(op->in, in, scope) || edge_outside(op->out, out, scope) ? EDGE_TABLE_OUTSIDE : 0;
}

static int edge_check_average(const struct edge_average_operator *op, const struct edge_scope *scope)
{
    if (op->whole > 1U || op->low > op->high) {
        return EDGE_TABLE_RANGE;
    }
    if (op->head.chunk != EDGE_NO_CHUNK) {
        uint32_t most = (uint32_t)op->k_h * op->k_w;
        const int32_t *scales = (const void *)scope->data;
        if (!edge_is_size(scope, 8U * most)) {
            return EDGE_TABLE_CHUNK;
        }
        for (uint32_t i = 0; i < most; i++) {
            if (!edge_is_scale(scales[2U * i], scales[2U * i + 1U], 0x20000000)) {
                return EDGE_TABLE_CHUNK;
            }
        }
    }
    return edge_check_pool(op, op->whole == 0U, scope);
}

static int edge_check_maximum(const union edge_any_operator *any, const struct edge_scope *scope)
{
    const struct edge_maximum_operator *op = &any->maximum;
    if (op->head.chunk != EDGE_NO_CHUNK) {
        return EDGE_TABLE_CHUNK;
    }
    if (op->zero2 != 0U || op->zero4 != 0 || op->zero5 != 0 || op->low > op->high) {
        return EDGE_TABLE_RANGE;
    }
    return edge_check_pool(&any->average, 1, scope); /* both begin alike */
}

static int edge_check_map(const struct edge_map_operator *op, const struct edge_scope *scope)
{
    if (op->n == 0U) {
        return EDGE_TABLE_RANGE;
    }
    if (edge_outside(op->in, op->n, scope) || edge_outside(op->out, op->n, scope)) {
        return EDGE_TABLE_OUTSIDE;
    }
    return edge_is_size(scope, 256U) ? 0 : EDGE_TABLE_CHUNK;
}

static int edge_check_softmax(const struct edge_softmax_operator *op, const struct edge_scope *scope)
{
    if (op->head.chunk != EDGE_NO_CHUNK) {
        return EDGE_TABLE_CHUNK;
    }
    int zeros = op->zero == 0U && op->zero2 == 0 && op->zero3 == 0;
    if (!zeros || op->rows == 0U || op->n == 0U || !edge_is_multiplier(op->m, op->s) || op->least > 0) {
        return EDGE_TABLE_RANGE;
    }
    uint64_t bytes = (uint64_t)op->rows * op->n;
    return edge_outside(op->in, bytes, scope) || edge_outside(op->out, bytes, scope) ? EDGE_TABLE_OUTSIDE : 0;
}

/* Whether `run` bytes at each place that four loops reach from `at` lie in the arena. */
static int edge_loops_outside(const struct edge_move_operator *op, int to, const struct edge_scope *scope)
{
    int64_t low = to ? op->out : op->in;
    int64_t high = low + op->run;
    for (int i = 0; i < 4; i++) {
        int64_t reach = ((int64_t)op->loop[i].count - 1) * (to ? op->loop[i].step_out : op->loop[i].step_in);
        low += reach < 0 ? reach : 0;
        high += reach > 0 ? reach : 0;
    }
    return low < 0 || high > (int64_t)scope->arena_bytes;
}

static int edge_check_move(const struct edge_move_operator *op, const struct edge_scope *scope)
{
    uint64_t bytes = op->run; /* it writes no byte twice, and so no more of them than the arena has: no endless run */
    for (int i = 0; i < 4 && bytes <= scope->arena_bytes; i++) {
        bytes *= op->loop[i].count;
        if (op->loop[i].zero != 0U) {
            return EDGE_TABLE_RANGE;
        }
    }
    if (bytes == 0U || bytes > scope->arena_bytes) {
        return EDGE_TABLE_RANGE;
    }
    if (edge_loops_outside(op, 0, scope) || edge_loops_outside(op, 1, scope)) {
        return EDGE_TABLE_OUTSIDE;
    }
    return op->head.chunk == EDGE_NO_CHUNK || edge_is_size(scope, 256U) ? 0 : EDGE_TABLE_CHUNK;
}

static int edge_check_fill(const struct edge_fill_operator *op, const struct edge_scope *scope)
{
    if (op->head.chunk != EDGE_NO_CHUNK) {
        return EDGE_TABLE_CHUNK;
    }
    if (op->n == 0U || op->zero != 0 || op->zero2 != 0 || op->zero3 != 0) {
        return EDGE_TABLE_RANGE;
    }
    return edge_outside(op->out, op->n, scope) ? EDGE_TABLE_OUTSIDE : 0;
}

/* Bytes of each operator by its code. */
static const uint8_t edge_operator_bytes[] = {
    0,
    sizeof(struct edge_conv_operator),
    sizeof(struct edge_conv_operator),
    sizeof(struct edge_dense_operator),
    sizeof(struct edge_add_operator),
    sizeof(struct edge_mul_operator),
    sizeof(struct edge_average_operator),
    sizeof(struct edge_maximum_operator),
    sizeof(struct edge_map_operator),
    sizeof(struct edge_softmax_operator),
    sizeof(struct edge_move_operator),
    sizeof(struct edge_fill_operator),
};

int edge_operator_check(const union edge_any_operator *op, const struct edge_scope *scope)
{
    uint8_t code = op->head.code;
    if (code == 0U || code > EDGE_FILL || 4U * op->head.words != edge_operator_bytes[code]) {
        return EDGE_TABLE_OPERATOR;
    }
    switch (code) {
    case EDGE_CONV:
    case EDGE_DEPTHWISE:
        return edge_check_conv(&op->conv, scope);
    case EDGE_DENSE:
        return edge_check_dense(&op->dense, scope);
    case EDGE_ADD:
        return edge_check_add(op, scope);
    case EDGE_MUL:
        return edge_check_mul(&op->mul, scope);
    case EDGE_AVERAGE:
        return edge_check_average(&op->average, scope);
    case EDGE_MAXIMUM:
        return edge_check_maximum(op, scope);
    case EDGE_MAP:
        return edge_check_map(&op->map, scope);
    case EDGE_SOFTMAX:
        return edge_check_softmax(&op->softmax, scope);
    case EDGE_MOVE:
        return edge_check_move(&op->move, scope);
    default:
        return edge_check_fill(&op->fill, scope);
    }
}
