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

void edge_dense_run(const struct edge_dense *op) {
    const size_t block = sizeof(struct edge_pair) + (size_t)(op->in_n + 1u) / 2 * 4;
    const int8_t *in = op->in;
    int8_t *out = op->out;
    for (uint32_t row = 0; row < op->rows; ++row, in += op->in_n, out += op->out_n) {
        const uint8_t *chunk = op->chunk;
        for (uint32_t c = 0; c < op->out_n; c += 2, chunk += block) {
            const struct edge_pair *const pair = (const void *)chunk;
            int32_t acc[2] = {pair->bias[0], pair->bias[1]};
            edge_multiply_1x2(in, op->in_n, (const void *)(pair + 1), acc);
            for (uint32_t i = 0; i < 2 && c + i < op->out_n; ++i) {
                const int32_t shift = pair->scale[i].shift;
                const int32_t x = edge_scaled(acc[i], pair->scale[i].m, shift < -31 ? shift + 64 : shift);
                out[c + i] = edge_number(x, op->zero_out, op->low, op->high);
            }
        }
    }
}
