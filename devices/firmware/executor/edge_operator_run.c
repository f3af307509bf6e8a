#include <stddef.h>

#include "edge_operator.h"

static int8_t *edge_place(int8_t *arena, uint32_t at)
{
    return arena != NULL ? arena + at : NULL;
}

struct edge_conv edge_conv_arguments(const struct edge_conv_operator *op, int8_t *arena, const uint8_t *chunk)
{
    return (struct edge_conv){
        .in = edge_place(arena, op->in),
        .out = edge_place(arena, op->out),
        .scratch = edge_place(arena, op->scratch),
        .chunk = chunk,
        .in_h = op->in_h,
        .in_w = op->in_w,
        .in_c = op->in_c,
        .out_h = op->out_h,
        .out_w = op->out_w,
        .out_c = op->out_c,
        .k_h = op->k_h,
        .k_w = op->k_w,
        .stride_h = op->stride_h,
        .stride_w = op->stride_w,
        .dilation_h = op->dilation_h,
        .dilation_w = op->dilation_w,
        .pad_top = op->pad_top,
        .pad_left = op->pad_left,
        .zero_in = op->zero_in,
        .zero_out = op->zero_out,
        .low = op->low,
        .high = op->high,
        .groups = op->groups,
    };
}

struct edge_dense edge_dense_arguments(const struct edge_dense_operator *op, int8_t *arena, const uint8_t *chunk)
{
    return (struct edge_dense){
        .in = edge_place(arena, op->in),
        .out = edge_place(arena, op->out),
        .scratch = edge_place(arena, op->scratch),
        .chunk = chunk,
        .rows = op->rows,
        .in_n = op->in_n,
        .out_n = op->out_n,
        .zero_in = op->zero_in,
        .zero_out = op->zero_out,
        .low = op->low,
        .high = op->high,
    };
}

/* The second operand: a tensor, or the chunk. */
static const int8_t *edge_second(uint32_t at, const int8_t *arena, const uint8_t *chunk)
{
    return chunk != NULL ? (const int8_t *)chunk : arena + at;
}

static void edge_run_add(const struct edge_add_operator *op, int8_t *arena, const uint8_t *chunk)
{
    edge_add_run(&(struct edge_add){
        .a = arena + op->a,
        .b = edge_second(op->b, arena, chunk),
        .out = arena + op->out,
        .n = op->n,
        .n_b = op->n_b,
        .m_a = op->m_a,
        .m_b = op->m_b,
        .m_out = op->m_out,
        .s_a = op->s_a,
        .s_b = op->s_b,
        .s_out = op->s_out,
        .zero_a = op->zero_a,
        .zero_b = op->zero_b,
        .zero_out = op->zero_out,
        .low = op->low,
        .high = op->high,
    });
}

static void edge_run_mul(const struct edge_mul_operator *op, int8_t *arena, const uint8_t *chunk)
{
    edge_mul_run(&(struct edge_mul){
        .a = arena + op->a,
        .b = edge_second(op->b, arena, chunk),
        .out = arena + op->out,
        .n = op->n,
        .n_b = op->n_b,
        .m_out = op->m_out,
        .s_out = op->s_out,
        .zero_a = op->zero_a,
        .zero_b = op->zero_b,
        .zero_out = op->zero_out,
        .low = op->low,
        .high = op->high,
    });
}

/* Of AVERAGE; of MAXIMUM all but its clamps, which stand elsewhere. */
static struct edge_pool edge_pool_arguments(const struct edge_average_operator *op, int8_t *arena, const uint8_t *chunk)
{
    return (struct edge_pool){
        .in = arena + op->in,
        .out = arena + op->out,
        .chunk = chunk,
        .in_h = op->in_h,
        .in_w = op->in_w,
        .c = op->c,
        .out_h = op->out_h,
        .out_w = op->out_w,
        .k_h = op->k_h,
        .k_w = op->k_w,
        .stride_h = op->stride_h,
        .stride_w = op->stride_w,
        .pad_top = op->pad_top,
        .pad_left = op->pad_left,
        .whole = op->whole,
        .zero_in = op->zero_in,
        .zero_out = op->zero_out,
        .low = op->low,
        .high = op->high,
    };
}

static void edge_run_maximum(const union edge_any_operator *op, int8_t *arena)
{
    struct edge_pool arguments = edge_pool_arguments(&op->average, arena, NULL);
    arguments.low = op->maximum.low;
    arguments.high = op->maximum.high;
    edge_maximum_run(&arguments);
}

static void edge_run_softmax(const struct edge_softmax_operator *op, int8_t *arena)
{
    edge_softmax_run(&(struct edge_softmax){
        .in = arena + op->in,
        .out = arena + op->out,
        .rows = op->rows,
        .n = op->n,
        .m = op->m,
        .s = op->s,
        .least = op->least,
    });
}

static void edge_run_move(const struct edge_move_operator *op, int8_t *arena, const uint8_t *chunk)
{
    struct edge_move arguments = {.in = arena + op->in, .out = arena + op->out, .chunk = chunk, .run = op->run};
    for (int i = 0; i < 4; i++) {
        arguments.count[i] = op->loop[i].count;
        arguments.step_in[i] = op->loop[i].step_in;
        arguments.step_out[i] = op->loop[i].step_out;
    }
    edge_move_run(&arguments);
}

static void edge_run_conv(const union edge_any_operator *op, int8_t *arena, const uint8_t *chunk)
{
    struct edge_conv arguments = edge_conv_arguments(&op->conv, arena, chunk);
    if (op->head.code == EDGE_DEPTHWISE) {
        edge_depthwise_run(&arguments);
    } else {
        edge_conv_run(&arguments);
    }
}

static void edge_run_dense(const struct edge_dense_operator *op, int8_t *arena, const uint8_t *chunk)
{
    struct edge_dense arguments = edge_dense_arguments(op, arena, chunk);
    edge_dense_run(&arguments);
}

static void edge_run_average(const struct edge_average_operator *op, int8_t *arena, const uint8_t *chunk)
{
    struct edge_pool arguments = edge_pool_arguments(op, arena, chunk);
    edge_average_run(&arguments);
}

void edge_operator_run(const union edge_any_operator *op, int8_t *arena, const uint8_t *chunk)
{
    switch (op->head.code) {
    case EDGE_CONV:
    case EDGE_DEPTHWISE:
        edge_run_conv(op, arena, chunk);
        break;
    case EDGE_DENSE:
        edge_run_dense(&op->dense, arena, chunk);
        break;
    case EDGE_ADD:
        edge_run_add(&op->add, arena, chunk);
        break;
    case EDGE_MUL:
        edge_run_mul(&op->mul, arena, chunk);
        break;
    case EDGE_AVERAGE:
        edge_run_average(&op->average, arena, chunk);
        break;
    case EDGE_MAXIMUM:
        edge_run_maximum(op, arena);
        break;
    case EDGE_MAP:
        edge_map_run(&(struct edge_map){.in = arena + op->map.in, .out = arena + op->map.out, .chunk = chunk, .n = op->map.n});
        break;
    case EDGE_SOFTMAX:
        edge_run_softmax(&op->softmax, arena);
        break;
    case EDGE_MOVE:
        edge_run_move(&op->move, arena, chunk);
        break;
    case EDGE_FILL:
        edge_fill_run(&(struct edge_fill){.out = arena + op->fill.out, .n = op->fill.n, .value = op->fill.value});
        break;
    default: /* an operator that was checked has a known code */
        break;
    }
}
