/* The operators of a table as they lie there (SPEC, section 4), and how they become arguments of kernels. */

#ifndef EDGE_OPERATOR_H
#define EDGE_OPERATOR_H

#include <stdint.h>

#include "edge_kernels.h"
#include "edge_table.h"

enum {
    EDGE_CONV = 1,
    EDGE_DEPTHWISE,
    EDGE_DENSE,
    EDGE_ADD,
    EDGE_MUL,
    EDGE_AVERAGE,
    EDGE_MAXIMUM,
    EDGE_MAP,
    EDGE_SOFTMAX,
    EDGE_MOVE,
    EDGE_FILL
};

/* How each of them begins. */
struct edge_operator {
    uint8_t code, words;
    uint16_t chunk;
};

struct edge_conv_operator {
    struct edge_operator head;
    uint32_t in, out, scratch;
    uint16_t in_h, in_w, in_c, out_h, out_w, out_c;
    uint8_t k_h, k_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int8_t zero_in, zero_out, low, high;
    uint16_t groups, zero;
};

struct edge_dense_operator {
    struct edge_operator head;
    uint32_t in, out, scratch, rows;
    uint16_t in_n, out_n;
    int8_t zero_in, zero_out, low, high;
};

struct edge_add_operator {
    struct edge_operator head;
    uint32_t a, b, out, n, n_b;
    int32_t m_a, m_b, m_out;
    int8_t s_a, s_b, s_out, zero;
    int8_t zero_a, zero_b, zero_out, zero2;
    int8_t low, high;
    uint16_t zero3;
};

struct edge_mul_operator {
    struct edge_operator head;
    uint32_t a, b, out, n, n_b;
    int32_t m_out;
    int8_t s_out, zero_a, zero_b, zero_out, low, high;
    uint16_t zero;
};

struct edge_average_operator {
    struct edge_operator head;
    uint32_t in, out;
    uint16_t in_h, in_w, c, out_h, out_w, zero;
    uint8_t k_h, k_w, stride_h, stride_w, pad_top, pad_left, whole, zero2;
    int8_t zero_in, zero_out, low, high;
};

struct edge_maximum_operator {
    struct edge_operator head;
    uint32_t in, out;
    uint16_t in_h, in_w, c, out_h, out_w, zero;
    uint8_t k_h, k_w, stride_h, stride_w, pad_top, pad_left, zero2, zero3;
    int8_t low, high, zero4, zero5;
};

struct edge_map_operator {
    struct edge_operator head;
    uint32_t in, out, n;
};

struct edge_softmax_operator {
    struct edge_operator head;
    uint32_t in, out, rows;
    uint16_t n, zero;
    int32_t m;
    int8_t s, zero2;
    int16_t zero3;
    int32_t least;
};

struct edge_move_operator {
    struct edge_operator head;
    uint32_t in, out, run;
    struct {
        uint16_t count, zero;
        int32_t step_in, step_out;
    } loop[4];
};

struct edge_fill_operator {
    struct edge_operator head;
    uint32_t out, n;
    int8_t value, zero, zero2, zero3;
};

union edge_any_operator {
    struct edge_operator head;
    struct edge_conv_operator conv;
    struct edge_dense_operator dense;
    struct edge_add_operator add;
    struct edge_mul_operator mul;
    struct edge_average_operator average;
    struct edge_maximum_operator maximum;
    struct edge_map_operator map;
    struct edge_softmax_operator softmax;
    struct edge_move_operator move;
    struct edge_fill_operator fill;
};

/* What a kernel takes; without an arena no address is told, which the size functions of kernels do not read. */
struct edge_conv edge_conv_arguments(const struct edge_conv_operator *op, int8_t *arena, const uint8_t *chunk);
struct edge_dense edge_dense_arguments(const struct edge_dense_operator *op, int8_t *arena, const uint8_t *chunk);

/* What an operator may touch: the arena of its table, and its chunk; data is NULL where it names none. */
struct edge_scope {
    uint32_t arena_bytes;
    const uint8_t *data;
    uint32_t bytes;
};

/* Whether an operator may run: 0, or a code of edge_table.h. */
int edge_operator_check(const union edge_any_operator *op, const struct edge_scope *scope);

/* Run an operator that was checked; `chunk`: its bytes, or NULL. */
void edge_operator_run(const union edge_any_operator *op, int8_t *arena, const uint8_t *chunk);

#endif
