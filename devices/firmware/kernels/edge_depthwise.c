/* DEPTHWISE: four pixels of four channels at a time.
 *
 * A chunk is a block for each four output channels: struct edge_block, then one word of weights for
 * each tap, the taps in the order of rows. Scratch holds a strip: what four pixels see of four
 * channels (one word a column), where that cannot be read from the input in place.
 */
#include "edge_depthwise_3x3.h"
#include "edge_kernels.h"
#include "edge_output.h"

enum { LANES = 4, PIXELS = 4 };

struct edge_block {
    int32_t bias[LANES];
    struct edge_scale scale[LANES];
};

/* What the pixels of one step see: rows from y on, columns from x on, of which some lie outside. */
struct edge_step {
    int32_t y, x;
    uint32_t columns, left, inside;
    int in_place;
};

/* How taps lie in memory: bytes from column to column and row to row. */
struct edge_taps {
    const int8_t *at;
    size_t across, down;
};

/* Columns that four pixels see. */
static uint32_t depthwise_columns(const struct edge_conv *op) {
    return (PIXELS - 1u) * op->stride_w + (op->k_w - 1u) * op->dilation_w + 1;
}

size_t edge_depthwise_scratch(const struct edge_conv *op) {
    return (size_t)op->k_h * depthwise_columns(op) * 4;
}

size_t edge_depthwise_chunk_bytes(const struct edge_conv *op) {
    const uint64_t blocks = (op->out_c + 3u) / LANES;
    const uint64_t bytes = blocks * (sizeof(struct edge_block) + (uint64_t)op->k_h * op->k_w * 4);
    return bytes <= INT32_MAX ? (size_t)bytes : SIZE_MAX;
}

static struct edge_step depthwise_step(const struct edge_conv *op, uint32_t row, uint32_t column) {
    const int32_t columns = (int32_t)depthwise_columns(op);
    const int32_t y = (int32_t)(row * op->stride_h) - op->pad_top;
    const int32_t x = (int32_t)(column * op->stride_w) - op->pad_left;
    const int32_t left = edge_clamped(-x, 0, columns), stop = edge_clamped(op->in_w - x, left, columns);
    const int rows = y >= 0 && y + (op->k_h - 1) * op->dilation_h < op->in_h;
    return (struct edge_step){.y = y,
                              .x = x,
                              .columns = (uint32_t)columns,
                              .left = (uint32_t)left,
                              .inside = (uint32_t)(stop - left),
                              .in_place = rows && stop - left == columns && op->in_c == op->out_c};
}

/* Four channels of a pixel, of which some may be missing or the same. */
static __attribute__((noinline)) uint32_t depthwise_word(const struct edge_conv *op, const int8_t *pixel, uint32_t c) {
    const uint32_t times = op->out_c / op->in_c;
    int8_t lanes[LANES];
    for (uint32_t i = 0; i < LANES; ++i)
        lanes[i] = c + i < op->out_c ? pixel[(c + i) / times] : 0;
    return edge_load4(lanes);
}

static __attribute__((noinline)) void depthwise_gather(const struct edge_conv *op, const struct edge_step *step, uint32_t c) {
    const uint32_t zero = (uint8_t)op->zero_in * 0x01010101u, in_c = op->in_c;
    const int whole = op->in_c == op->out_c && op->out_c - c >= LANES;
    uint32_t *to = op->scratch;
    for (uint32_t k_y = 0; k_y < op->k_h; ++k_y) {
        const int32_t y = step->y + (int32_t)(k_y * op->dilation_h);
        const uint32_t *const end = to + step->columns;
        if (y >= 0 && y < op->in_h && step->inside > 0) {
            const int8_t *from = op->in + ((size_t)y * op->in_w + (size_t)(step->x + (int32_t)step->left)) * in_c;
            for (uint32_t i = step->left; i > 0; --i)
                *to++ = zero;
            if (whole)
                for (uint32_t i = step->inside; i > 0; --i, from += in_c)
                    *to++ = edge_load4(from + c);
            else
                for (uint32_t i = step->inside; i > 0; --i, from += in_c)
                    *to++ = depthwise_word(op, from, c);
        }
        while (to < end)
            *to++ = zero;
    }
}

/* The sums of four channels at four pixels, whatever the kernel. */
static __attribute__((noinline)) void depthwise_multiply(const struct edge_conv *op, const struct edge_taps *taps, const struct edge_block *block,
                               int32_t *acc) {
    for (uint32_t p = 0; p < PIXELS; ++p, acc += LANES) {
        const int8_t *weight = (const int8_t *)(block + 1);
        const int8_t *at = taps->at + p * op->stride_w * taps->across;
        memcpy(acc, block->bias, sizeof block->bias);
        for (uint32_t k_y = 0; k_y < op->k_h; ++k_y, at += taps->down) {
            const int8_t *from = at;
            for (uint32_t k_x = 0; k_x < op->k_w; ++k_x, from += op->dilation_w * taps->across, weight += LANES)
                for (uint32_t i = 0; i < LANES; ++i)
                    acc[i] = edge_sum(acc[i], from[i] * weight[i]);
        }
    }
}

/* Four channels from c on, at the pixels of a step. */
static __attribute__((noinline)) void depthwise_block(const struct edge_conv *op, const struct edge_taps *taps, const struct edge_block *block,
                            int8_t *out, uint32_t lanes, const struct edge_places *places) {
    int32_t acc[PIXELS * LANES];
#if EDGE_DSP
    const void *const w = block + 1;
    if (op->k_h == 3 && op->k_w == 3 && op->dilation_w == 1 && op->stride_w == 1)
        edge_depthwise_3x3_1(taps->at, taps->across, taps->down, w, block->bias, acc);
    else if (op->k_h == 3 && op->k_w == 3 && op->dilation_w == 1 && op->stride_w == 2)
        edge_depthwise_3x3_2(taps->at, taps->across, taps->down, w, block->bias, acc);
    else
#endif
        depthwise_multiply(op, taps, block, acc);
    edge_write_lanes(acc, block->scale, out, lanes, places);
}

/* All channels at the pixels of a step. */
static void depthwise_pixels(const struct edge_conv *op, uint32_t row, uint32_t column, int8_t *out,
                             const struct edge_places *places) {
    const struct edge_step step = depthwise_step(op, row, column);
    const size_t bytes = sizeof(struct edge_block) + (size_t)op->k_h * op->k_w * 4;
    const struct edge_taps strip = {op->scratch, sizeof(uint32_t), step.columns * sizeof(uint32_t)};
    struct edge_taps taps = {NULL, op->in_c, (size_t)op->dilation_h * op->in_w * op->in_c};
    const uint8_t *chunk = op->chunk;
    if (step.in_place)
        taps.at = op->in + ((size_t)step.y * op->in_w + (size_t)step.x) * op->in_c;
    for (uint32_t c = 0; c < op->out_c; c += LANES, chunk += bytes, out += LANES) {
        const uint32_t lanes = op->out_c - c < LANES ? op->out_c - c : LANES;
        const struct edge_taps *now = &taps;
        if (!step.in_place || lanes < LANES)
            depthwise_gather(op, &step, c), now = &strip;
        depthwise_block(op, now, (const void *)chunk, out, lanes, places);
        taps.at = step.in_place ? taps.at + LANES : NULL;
    }
}

void edge_depthwise_run(const struct edge_conv *op) {
    int8_t *out = op->out;
    memset(op->scratch, 0, edge_depthwise_scratch(op)); /* touched to its end, wherever the borders are */
    for (uint32_t row = 0; row < op->out_h; ++row)
        for (uint32_t column = 0; column < op->out_w; column += PIXELS) {
            const uint32_t last = op->out_w - column < PIXELS ? op->out_w - column - 1 : PIXELS - 1;
            const struct edge_places places = edge_places_of(op->zero_out, last, op->out_c);
            depthwise_pixels(op, row, column, out, &places);
            edge_clamp(out, (last + 1) * op->out_c, op->low, op->high);
            out += (size_t)(last + 1) * op->out_c;
        }
}
