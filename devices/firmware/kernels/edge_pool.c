/* AVERAGE and MAXIMUM: one output pixel after the other. */
#include "edge_arithmetic.h"
#include "edge_kernels.h"

/* The part of a window that lies inside the input. */
struct edge_window {
    int32_t top, bottom, left, right;
};

static struct edge_window pool_window(const struct edge_pool *op, uint32_t row, uint32_t column) {
    const int32_t y = (int32_t)(row * op->stride_h) - op->pad_top;
    const int32_t x = (int32_t)(column * op->stride_w) - op->pad_left;
    struct edge_window window;
    window.top = y < 0 ? 0 : y;
    window.left = x < 0 ? 0 : x;
    window.bottom = y + op->k_h < op->in_h ? y + op->k_h : op->in_h;
    window.right = x + op->k_w < op->in_w ? x + op->k_w : op->in_w;
    return window;
}

size_t edge_average_chunk_bytes(const struct edge_pool *op) {
    return (size_t)op->k_h * op->k_w * 8;
}

static int32_t average_number(const struct edge_pool *op, int32_t sum, int32_t count) {
    if (op->chunk != NULL) {
        const int32_t *const scale = (const int32_t *)(const void *)op->chunk + 2 * (count - 1);
        return edge_number(edge_scaled(sum - count * op->zero_in, scale[0], scale[1]), op->zero_out, op->low,
                           op->high);
    }
    sum = sum >= 0 ? sum + count / 2 : sum - count / 2;
    return edge_clamped(sum / count, op->low, op->high);
}

void edge_average_run(const struct edge_pool *op) {
    int8_t *out = op->out;
    for (uint32_t row = 0; row < op->out_h; ++row)
        for (uint32_t column = 0; column < op->out_w; ++column) {
            const struct edge_window window = pool_window(op, row, column);
            const int32_t area = window.bottom > window.top && window.right > window.left
                                     ? (window.bottom - window.top) * (window.right - window.left)
                                     : 0;
            const int32_t all = op->k_h * op->k_w;
            const int32_t count = op->whole || area == 0 ? all : area;
            for (uint32_t c = 0; c < op->c; ++c) {
                int32_t sum = (count - area) * op->zero_in;
                for (int32_t y = window.top; y < window.bottom; ++y) {
                    const int8_t *at = op->in + ((size_t)y * op->in_w + (size_t)window.left) * op->c + c;
                    for (int32_t x = window.left; x < window.right; ++x, at += op->c)
                        sum += *at;
                }
                *out++ = (int8_t)average_number(op, sum, count);
            }
        }
}

void edge_maximum_run(const struct edge_pool *op) {
    int8_t *out = op->out;
    for (uint32_t row = 0; row < op->out_h; ++row)
        for (uint32_t column = 0; column < op->out_w; ++column) {
            const struct edge_window window = pool_window(op, row, column);
            for (uint32_t c = 0; c < op->c; ++c) {
                int32_t most = -128;
                for (int32_t y = window.top; y < window.bottom; ++y) {
                    const int8_t *at = op->in + ((size_t)y * op->in_w + (size_t)window.left) * op->c + c;
                    for (int32_t x = window.left; x < window.right; ++x, at += op->c)
                        most = *at > most ? *at : most;
                }
                *out++ = (int8_t)edge_clamped(most, op->low, op->high);
            }
        }
}
