/* DEPTHWISE: four pixels of four channels at a time.
 *
 * A chunk is a block for each four output channels: struct edge_block, then one word of weights for
 * each tap, the taps in the order of rows. Scratch holds the weights of one block as 16-bit numbers
 * (two words a tap), then the taps of one pixel (one word a tap) where they cannot be read from the
 * input in place.
 */
#include "edge_kernels.h"
#include "edge_output.h"

#define EDGE_LANES 4

struct edge_block {
    int32_t bias[EDGE_LANES];
    struct edge_scale scale[EDGE_LANES];
};

/* How the taps of one pixel lie: bytes from tap to tap and from row to row. */
struct edge_taps {
    const int8_t *at;
    size_t across, down;
};

size_t edge_depthwise_scratch(const struct edge_conv *op) {
    return (size_t)op->k_h * op->k_w * 12;
}

size_t edge_depthwise_chunk_bytes(const struct edge_conv *op) {
    const uint64_t blocks = (op->out_c + 3u) / EDGE_LANES;
    const uint64_t bytes = blocks * (sizeof(struct edge_block) + (uint64_t)op->k_h * op->k_w * 4);
    return bytes <= INT32_MAX ? (size_t)bytes : SIZE_MAX;
}

/* Copies the taps of one pixel, channel by channel: the last channels, and what several output
 * channels read, and what lies outside the input. */
static void depthwise_gather(const struct edge_conv *op, int8_t *to, int32_t y, int32_t x, uint32_t c) {
    const uint32_t times = op->out_c / op->in_c, lanes = op->out_c - c < 4u ? op->out_c - c : 4u;
    for (uint32_t k_y = 0; k_y < op->k_h; ++k_y) {
        const int32_t at_y = y + (int32_t)(k_y * op->dilation_h);
        for (uint32_t k_x = 0; k_x < op->k_w; ++k_x, to += EDGE_LANES) {
            const int32_t at_x = x + (int32_t)(k_x * op->dilation_w);
            const int inside = at_y >= 0 && at_y < op->in_h && at_x >= 0 && at_x < op->in_w;
            if (!inside) {
                memset(to, op->zero_in, EDGE_LANES);
                continue;
            }
            const int8_t *const from = op->in + ((size_t)at_y * op->in_w + (size_t)at_x) * op->in_c;
            if (times == 1 && lanes == EDGE_LANES)
                memcpy(to, from + c, EDGE_LANES);
            else
                for (uint32_t i = 0; i < EDGE_LANES; ++i)
                    to[i] = i < lanes ? from[(c + i) / times] : 0;
        }
    }
}

static struct edge_taps depthwise_taps(const struct edge_conv *op, int8_t *patch, uint32_t row, uint32_t column,
                                       uint32_t c) {
    const int32_t y = (int32_t)(row * op->stride_h) - op->pad_top;
    const int32_t x = (int32_t)(column * op->stride_w) - op->pad_left;
    struct edge_taps taps = {patch, EDGE_LANES, (size_t)EDGE_LANES * op->k_w};
    if (y >= 0 && x >= 0 && y + (op->k_h - 1) * op->dilation_h < op->in_h &&
        x + (op->k_w - 1) * op->dilation_w < op->in_w && op->out_c == op->in_c && op->out_c - c >= EDGE_LANES) {
        taps.at = op->in + ((size_t)y * op->in_w + (size_t)x) * op->in_c + c;
        taps.across = (size_t)op->dilation_w * op->in_c;
        taps.down = (size_t)op->dilation_h * op->in_w * op->in_c;
    } else {
        depthwise_gather(op, patch, y, x, c);
    }
    return taps;
}

#if EDGE_DSP

/* Weights of one tap: channels 0 and 2, then 1 and 3. */
static void depthwise_spread(uint32_t *to, const uint32_t *from, uint32_t n) {
    for (; n > 0; --n, ++from, to += 2) {
        to[0] = edge_sxtb16(*from);
        to[1] = edge_sxtb16_ror8(*from);
    }
}

#define EDGE_TAP(word)                                   \
    do {                                                 \
        const uint32_t even = edge_sxtb16(word), odd = edge_sxtb16_ror8(word); \
        a0 = edge_smlabb(even, w[0], a0);                \
        a2 = edge_smlatt(even, w[0], a2);                \
        a1 = edge_smlabb(odd, w[1], a1);                 \
        a3 = edge_smlatt(odd, w[1], a3);                 \
        w += 2;                                          \
    } while (0)

static void depthwise_multiply(const struct edge_conv *op, struct edge_taps taps, const uint32_t *w,
                               const int32_t *bias, int32_t *acc) {
    int32_t a0 = bias[0], a1 = bias[1], a2 = bias[2], a3 = bias[3];
    for (uint32_t k_y = 0; k_y < op->k_h; ++k_y, taps.at += taps.down) {
        const int8_t *at = taps.at;
        if (op->k_w == 3) {
            EDGE_TAP(edge_load4(at));
            EDGE_TAP(edge_load4(at + taps.across));
            EDGE_TAP(edge_load4(at + 2 * taps.across));
        } else {
            for (uint32_t k_x = 0; k_x < op->k_w; ++k_x, at += taps.across)
                EDGE_TAP(edge_load4(at));
        }
    }
    acc[0] = a0, acc[1] = a1, acc[2] = a2, acc[3] = a3;
}

#else

static void depthwise_spread(uint32_t *to, const uint32_t *from, uint32_t n) {
    for (; n > 0; --n, ++from, to += 2)
        to[0] = *from;
}

static void depthwise_multiply(const struct edge_conv *op, struct edge_taps taps, const uint32_t *w,
                               const int32_t *bias, int32_t *acc) {
    int32_t a0 = bias[0], a1 = bias[1], a2 = bias[2], a3 = bias[3];
    for (uint32_t k_y = 0; k_y < op->k_h; ++k_y, taps.at += taps.down) {
        const int8_t *at = taps.at;
        for (uint32_t k_x = 0; k_x < op->k_w; ++k_x, at += taps.across, w += 2) {
            const int8_t *const weight = (const int8_t *)w;
            a0 = edge_sum(a0, at[0] * weight[0]);
            a1 = edge_sum(a1, at[1] * weight[1]);
            a2 = edge_sum(a2, at[2] * weight[2]);
            a3 = edge_sum(a3, at[3] * weight[3]);
        }
    }
    acc[0] = a0, acc[1] = a1, acc[2] = a2, acc[3] = a3;
}

#endif

/* Four channels from c on, at pixels column .. column + last of a row. */
static void depthwise_block(const struct edge_conv *op, const struct edge_block *block, int8_t *out, uint32_t row,
                            uint32_t column, uint32_t last, uint32_t c) {
    const uint32_t taps = (uint32_t)op->k_h * op->k_w;
    uint32_t *const weights = op->scratch;
    int8_t *const patch = (int8_t *)(weights + 2 * (size_t)taps);
    int32_t acc[4 * EDGE_LANES];
    struct edge_places places;
    depthwise_spread(weights, (const void *)(block + 1), taps);
    for (uint32_t p = 0; p < 4; ++p) {
        const uint32_t at = p < last ? p : last;
        places.at[p] = at * op->out_c;
        if (p <= last)
            depthwise_multiply(op, depthwise_taps(op, patch, row, column + p, c), weights, block->bias,
                               acc + (size_t)p * EDGE_LANES);
        else
            memcpy(acc + (size_t)p * EDGE_LANES, acc + (size_t)last * EDGE_LANES, EDGE_LANES * sizeof *acc);
    }
    for (uint32_t i = 0; i < EDGE_LANES && c + i < op->out_c; ++i)
        edge_write4(acc + i, EDGE_LANES, &block->scale[i], op->zero_out, out + c + i, &places);
}

void edge_depthwise_run(const struct edge_conv *op) {
    const size_t step = sizeof(struct edge_block) + (size_t)op->k_h * op->k_w * 4;
    int8_t *out = op->out;
    for (uint32_t row = 0; row < op->out_h; ++row)
        for (uint32_t column = 0; column < op->out_w; column += 4) {
            const uint32_t last = op->out_w - column < 4 ? op->out_w - column - 1 : 3;
            const uint8_t *chunk = op->chunk;
            for (uint32_t c = 0; c < op->out_c; c += EDGE_LANES, chunk += step)
                depthwise_block(op, (const void *)chunk, out, row, column, last, c);
            edge_clamp(out, (last + 1) * op->out_c, op->low, op->high);
            out += (size_t)(last + 1) * op->out_c;
        }
}
