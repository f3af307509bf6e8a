/* DENSE: each row of the input with the weights of two outputs at a time. */
#include "edge_kernels.h"
#include "edge_multiply.h"

size_t edge_dense_scratch(const struct edge_dense *op) {
    (void)op;
    return 0;
}

size_t edge_dense_chunk_bytes(const struct edge_dense *op) {
    const uint64_t words = (op->in_n + 1u) / 2, pairs = (op->out_n + 1u) / 2;
    const uint64_t bytes = pairs * (sizeof(struct edge_pair) + words * 4);
    return bytes <= INT32_MAX ? (size_t)bytes : SIZE_MAX;
}

const uint8_t *edge_multiply_row(const int8_t *in, uint32_t n, const uint8_t *chunk, int8_t *out, uint32_t made,
                                 const struct edge_places *places) {
    const size_t block = sizeof(struct edge_pair) + (size_t)(n + 1) / 2 * 4;
    int32_t acc[8] = {0};
    for (uint32_t c = 0; c < made; c += 2, chunk += block) {
        const struct edge_pair *const pair = (const void *)chunk;
        edge_multiply_1x2(in, n, (const void *)(pair + 1), pair->bias, acc);
        edge_write_channels(acc, pair->scale, out + c, c + 1 < made ? 2 : 1, places);
    }
    return chunk;
}

void edge_dense_run(const struct edge_dense *op) {
    const struct edge_places places = edge_places_of(op->zero_out, 0, 0);
    const int8_t *in = op->in;
    int8_t *out = op->out;
    for (uint32_t row = 0; row < op->rows; ++row, in += op->in_n, out += op->out_n) {
        edge_multiply_row(in, op->in_n, op->chunk, out, op->out_n, &places);
        edge_clamp(out, op->out_n, op->low, op->high);
    }
}
