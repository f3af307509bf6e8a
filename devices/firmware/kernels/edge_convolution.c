/* CONV: four pixels at a time become 16-bit numbers in scratch, then meet the weights of two output
 * channels at a time. Borders, strides, dilation and groups end in the first half. */
#include "edge_gather.h"
#include "edge_multiply.h"

size_t edge_conv_scratch(const struct edge_conv *op) {
    const struct edge_segments segments = edge_segments_of(op);
    const uint64_t words = (uint64_t)segments.count * edge_segment_words(segments.bytes);
    const uint64_t bytes = words * EDGE_PIXELS * 4;
    return bytes <= INT32_MAX ? (size_t)bytes : SIZE_MAX;
}

size_t edge_conv_chunk_bytes(const struct edge_conv *op) {
    const struct edge_segments segments = edge_segments_of(op);
    const uint64_t words = (uint64_t)segments.count * edge_segment_words(segments.bytes);
    const uint64_t pairs = (uint64_t)op->groups * ((op->out_c / op->groups + 1u) / 2);
    const uint64_t bytes = words <= INT32_MAX ? pairs * (sizeof(struct edge_pair) + words * 4) : SIZE_MAX;
    return bytes <= INT32_MAX ? (size_t)bytes : SIZE_MAX;
}

/* One row of the kernel, or one tap, where some of it lies outside the input. */
static void conv_gather_border(const struct edge_conv *op, uint32_t *to, int32_t y, int32_t x, uint32_t k_x,
                               uint32_t taps, uint32_t first_c, uint32_t bytes) {
    const uint32_t c = op->groups == 1 ? op->in_c : bytes;
    for (uint32_t i = 0; i < taps; ++i) {
        const int32_t at = x + (int32_t)((k_x + i) * op->dilation_w);
        const int inside = y >= 0 && y < op->in_h && at >= 0 && at < op->in_w;
        const int8_t *const from =
            inside ? op->in + ((size_t)y * op->in_w + (size_t)at) * op->in_c + first_c : NULL;
        if (inside && (c & 3) == 0)
            edge_spread(to + (size_t)i * c / 2 * EDGE_PIXELS, from, c);
        else
            edge_spread_part(to, bytes, i * c, c, from, op->zero_in);
    }
}

/* The inputs of group `group` for the output at (row, column). */
static void conv_gather(const struct edge_conv *op, struct edge_segments segments, uint32_t *to, uint32_t row,
                        uint32_t column, uint32_t group) {
    const int32_t y = (int32_t)(row * op->stride_h) - op->pad_top;
    const int32_t x = (int32_t)(column * op->stride_w) - op->pad_left;
    const uint32_t taps = segments.count == op->k_h ? op->k_w : 1;
    const uint32_t across = op->k_w / taps, first_c = group * (op->in_c / op->groups);
    const size_t step = (size_t)edge_segment_words(segments.bytes) * EDGE_PIXELS;
    for (uint32_t k_y = 0; k_y < op->k_h; ++k_y) {
        const int32_t at_y = y + (int32_t)(k_y * op->dilation_h);
        for (uint32_t k_x = 0; k_x < across; ++k_x, to += step) {
            const int32_t at_x = x + (int32_t)(k_x * op->dilation_w);
            if (at_y >= 0 && at_y < op->in_h && at_x >= 0 && at_x + (int32_t)taps <= op->in_w)
                edge_spread(to, op->in + ((size_t)at_y * op->in_w + (size_t)at_x) * op->in_c + first_c,
                            segments.bytes);
            else
                conv_gather_border(op, to, at_y, x, k_x, taps, first_c, segments.bytes);
        }
    }
}

/* The outputs of one group at four pixels. */
static __attribute__((noinline)) const uint8_t *conv_multiply(const struct edge_conv *op, uint32_t words, const uint8_t *chunk,
                                    int8_t *out, const struct edge_places *places) {
    const uint32_t *const x = op->scratch;
    const uint32_t channels = op->out_c / op->groups;
    int32_t acc[8];
    for (uint32_t c = 0; c < channels; c += 2) {
        const struct edge_pair *const pair = (const void *)chunk;
        chunk += sizeof *pair + (size_t)words * 4;
        edge_multiply_4x2(x, (const void *)(pair + 1), words, pair->bias, acc);
        edge_write_channels(acc, pair->scale, out + c, c + 1 < channels ? 2 : 1, places);
    }
    return chunk;
}

/* The output is rows * columns pixels; a 1x1 kernel sees the whole image as one row. */
void edge_conv_run(const struct edge_conv *op) {
    const struct edge_segments segments = edge_segments_of(op);
    const uint32_t words = segments.count * edge_segment_words(segments.bytes);
    const int flat = op->k_h == 1 && op->k_w == 1 && op->stride_h == 1 && op->stride_w == 1 && op->pad_top == 0 &&
                     op->pad_left == 0 && op->in_h == op->out_h && op->in_w == op->out_w;
    const uint32_t rows = flat ? 1 : op->out_h;
    const uint32_t columns = flat ? (uint32_t)op->out_h * op->out_w : op->out_w;
    const uint32_t group_c = op->out_c / op->groups;
    uint32_t *const scratch = op->scratch;
    int8_t *out = op->out;
    for (uint32_t row = 0; row < rows; ++row)
        for (uint32_t column = 0; column < columns; column += EDGE_PIXELS) {
            const uint32_t last = columns - column < EDGE_PIXELS ? columns - column - 1 : EDGE_PIXELS - 1;
            const struct edge_places places = edge_places_of(op->zero_out, last, op->out_c);
            const uint8_t *chunk = op->chunk;
            for (uint32_t group = 0; group < op->groups; ++group) {
                for (uint32_t p = 0; p <= last; ++p) {
                    const uint32_t at = column + p;
                    if (flat)
                        edge_spread(scratch + p, op->in + (size_t)at * op->in_c + (size_t)group * segments.bytes,
                                    segments.bytes);
                    else
                        conv_gather(op, segments, scratch + p, row, at, group);
                }
                chunk = conv_multiply(op, words, chunk, out + (size_t)group * group_c, &places);
            }
            edge_clamp(out, (last + 1) * op->out_c, op->low, op->high);
            out += (size_t)(last + 1) * op->out_c;
        }
}

const char *edge_kernels_isa(void) {
    return EDGE_DSP ? "dsp" : "plain";
}
