/* ADD, MUL and MAP: one element after the other. */
#include "edge_arithmetic.h"
#include "edge_kernels.h"

void edge_add_run(const struct edge_add *op) {
    for (uint32_t i = 0, j = 0; i < op->n; ++i) {
        const int32_t a = edge_scaled((op->a[i] - op->zero_a) * (1 << 20), op->m_a, op->s_a);
        const int32_t b = edge_scaled((op->b[j] - op->zero_b) * (1 << 20), op->m_b, op->s_b);
        const int32_t sum = edge_scaled(edge_saturated((int64_t)a + b), op->m_out, op->s_out);
        op->out[i] = edge_number(sum, op->zero_out, op->low, op->high);
        if (++j == op->n_b)
            j = 0;
    }
}

void edge_mul_run(const struct edge_mul *op) {
    for (uint32_t i = 0, j = 0; i < op->n; ++i) {
        const int32_t product = (op->a[i] - op->zero_a) * (op->b[j] - op->zero_b);
        op->out[i] = edge_number(edge_scaled(product, op->m_out, op->s_out), op->zero_out, op->low, op->high);
        if (++j == op->n_b)
            j = 0;
    }
}

void edge_map_run(const struct edge_map *op) {
    const int8_t *const table = (const int8_t *)op->chunk + 128;
    for (uint32_t i = 0; i < op->n; ++i)
        op->out[i] = table[op->in[i]];
}
