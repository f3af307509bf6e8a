/* The integer operators of a board: what each one takes, what it needs, what it does.
 *
 * A struct holds the fields of the operator as SPEC.md (section 4) names them, with addresses in
 * place of offsets. Tensors are int8 in the order N H W C. Scratch and chunks begin at multiples
 * of 4. The caller has checked that every range lies in its memory, that chunks have the size
 * which edge_<op>_chunk_bytes tells, that no stride, dilation or shape is 0, and that groups divide
 * the channels; the kernels trust it.
 *
 * Sizes are SIZE_MAX where they do not fit.
 */
#ifndef EDGE_KERNELS_H
#define EDGE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* CONV and DEPTHWISE. Pads are real zeros (zero_in), on all four sides. */
struct edge_conv {
    const int8_t *in;    /* in_h, in_w, in_c */
    int8_t *out;         /* out_h, out_w, out_c */
    void *scratch;       /* edge_conv_scratch or edge_depthwise_scratch bytes */
    const uint8_t *chunk; /* as packing.py packs it */
    uint16_t in_h, in_w, in_c, out_h, out_w, out_c;
    uint8_t k_h, k_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int8_t zero_in, zero_out, low, high;
    uint16_t groups;
};

/* DENSE: rows of in_n numbers times a matrix. */
struct edge_dense {
    const int8_t *in; /* rows, in_n */
    int8_t *out;      /* rows, out_n */
    void *scratch;    /* edge_dense_scratch bytes */
    const uint8_t *chunk;
    uint32_t rows;
    uint16_t in_n, out_n;
    int8_t zero_in, zero_out, low, high;
};

/* ADD: a is n bytes; b is n_b bytes in the arena or in a chunk. */
struct edge_add {
    const int8_t *a, *b;
    int8_t *out;
    uint32_t n, n_b;
    int32_t m_a, m_b, m_out;
    int8_t s_a, s_b, s_out;
    int8_t zero_a, zero_b, zero_out, low, high;
};

/* MUL: the same with one multiplier. */
struct edge_mul {
    const int8_t *a, *b;
    int8_t *out;
    uint32_t n, n_b;
    int32_t m_out;
    int8_t s_out, zero_a, zero_b, zero_out, low, high;
};

/* AVERAGE and MAXIMUM. */
struct edge_pool {
    const int8_t *in;    /* in_h, in_w, c */
    int8_t *out;         /* out_h, out_w, c */
    const uint8_t *chunk; /* AVERAGE: NULL, or k_h * k_w times { i32 m, i32 s } */
    uint16_t in_h, in_w, c, out_h, out_w;
    uint8_t k_h, k_w, stride_h, stride_w, pad_top, pad_left, whole;
    int8_t zero_in, zero_out, low, high;
};

/* MAP: each number through 256 bytes. */
struct edge_map {
    const int8_t *in;
    int8_t *out;
    const uint8_t *chunk; /* 256 bytes */
    uint32_t n;
};

/* SOFTMAX of each row alone. */
struct edge_softmax {
    const int8_t *in;
    int8_t *out;
    uint32_t rows;
    uint16_t n;
    int32_t m;
    int8_t s;
    int32_t least;
};

/* MOVE: runs of bytes under four loops, the outermost first. */
struct edge_move {
    const int8_t *in;
    int8_t *out;
    const uint8_t *chunk; /* NULL, or 256 bytes through which each byte goes */
    uint32_t run;
    uint16_t count[4];
    int32_t step_in[4], step_out[4];
};

/* FILL: one number in every byte. */
struct edge_fill {
    int8_t *out;
    uint32_t n;
    int8_t value;
};

size_t edge_conv_scratch(const struct edge_conv *op);
size_t edge_conv_chunk_bytes(const struct edge_conv *op);
void edge_conv_run(const struct edge_conv *op);

size_t edge_depthwise_scratch(const struct edge_conv *op);
size_t edge_depthwise_chunk_bytes(const struct edge_conv *op);
void edge_depthwise_run(const struct edge_conv *op);

size_t edge_dense_scratch(const struct edge_dense *op);
size_t edge_dense_chunk_bytes(const struct edge_dense *op);
void edge_dense_run(const struct edge_dense *op);

/* Of AVERAGE with a chunk. */
size_t edge_average_chunk_bytes(const struct edge_pool *op);
void edge_average_run(const struct edge_pool *op);
void edge_maximum_run(const struct edge_pool *op);

void edge_add_run(const struct edge_add *op);
void edge_mul_run(const struct edge_mul *op);
void edge_map_run(const struct edge_map *op);
void edge_softmax_run(const struct edge_softmax *op);
void edge_move_run(const struct edge_move *op);
void edge_fill_run(const struct edge_fill *op);

/* "dsp" or "plain": which instructions these kernels were built for. */
const char *edge_kernels_isa(void);

#ifdef __cplusplus
}
#endif

#endif
