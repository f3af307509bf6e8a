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

/* What four pixels read of one group. */
struct edge_window {
    struct edge_segments segments;
    uint32_t taps; /* in a segment */
    uint32_t first_c;
    size_t step; /* words of a segment in scratch */
};

/* A segment that lies partly or wholly outside the input. */
static void conv_gather_border(const struct edge_conv *op, const struct edge_window *window, uint32_t *to, int32_t y,
                               int32_t x) {
    const uint32_t bytes = window->segments.bytes, c = bytes / window->taps;
    for (uint32_t i = 0; i < window->taps; ++i, ++x) {
        const int inside = y >= 0 && y < op->in_h && x >= 0 && x < op->in_w;
        const int8_t *const from =
            inside ? op->in + ((size_t)y * op->in_w + (size_t)x) * op->in_c + window->first_c : NULL;
        if (inside && (c & 3) == 0)
            edge_spread(to + (size_t)i * c / 2 * EDGE_PIXELS, from, c);
        else
            edge_spread_part(to, bytes, i * c, c, from, op->zero_in);
    }
}

/* The inputs of the output pixel whose window begins at (y, x). */
static void conv_gather(const struct edge_conv *op, const struct edge_window *window, uint32_t *to, int32_t y,
                        int32_t x) {
    const int32_t high = (op->k_h - 1) * op->dilation_h, wide = (op->k_w - 1) * op->dilation_w;
    const int inside = y >= 0 && y + high < op->in_h && x >= 0 && x + wide < op->in_w;
    const uint32_t across = op->k_w / window->taps;
    for (uint32_t k_y = 0; k_y < op->k_h; ++k_y, y += op->dilation_h)
        for (uint32_t k_x = 0; k_x < across; ++k_x, to += window->step) {
            const int32_t at = x + (int32_t)(k_x * op->dilation_w);
            if (inside)
                edge_spread(to, op->in + ((size_t)y * op->in_w + (size_t)at) * op->in_c + window->first_c,
                            window->segments.bytes);
            else
                conv_gather_border(op, window, to, y, at);
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
    struct edge_window window = {segments, segments.count == op->k_h ? op->k_w : 1, 0,
                                 (size_t)edge_segment_words(segments.bytes) * EDGE_PIXELS};
    uint32_t *const scratch = op->scratch;
    int8_t *out = op->out;
    memset(scratch, 0, edge_conv_scratch(op)); /* a row may have fewer than four pixels */
    for (uint32_t row = 0; row < rows; ++row)
        for (uint32_t column = 0; column < columns; column += EDGE_PIXELS) {
            const uint32_t last = columns - column < EDGE_PIXELS ? columns - column - 1 : EDGE_PIXELS - 1;
            const struct edge_places places = edge_places_of(op->zero_out, last, op->out_c);
            const uint8_t *chunk = op->chunk;
            for (uint32_t group = 0; group < op->groups; ++group) {
                window.first_c = group * (op->in_c / op->groups);
                if (flat && last == 0) {
                    chunk = edge_multiply_row(op->in + (size_t)column * op->in_c + window.first_c, segments.bytes,
                                              chunk, out + (size_t)group * group_c, group_c, &places);
                    continue;
                }
                for (uint32_t p = 0; p <= last; ++p)
                    if (flat)
                        edge_spread(scratch + p, op->in + (size_t)(column + p) * op->in_c + window.first_c,
                                    segments.bytes);
                    else
                        conv_gather(op, &window, scratch + p, (int32_t)(row * op->stride_h) - op->pad_top,
                                    (int32_t)((column + p) * op->stride_w) - op->pad_left);
                chunk = conv_multiply(op, words, chunk, out + (size_t)group * group_c, &places);
            }
            edge_clamp(out, (last + 1) * op->out_c, op->low, op->high);
            out += (size_t)(last + 1) * op->out_c;
        }
}

const char *edge_kernels_isa(void) {
    return EDGE_DSP ? "dsp" : "plain";
}
