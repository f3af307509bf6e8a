/* Runs kernels on cases from a file, and writes what came out.
 *
 * case:   i32 operator (SPEC, section 4), n fields, bytes of arena, bytes of chunk; n fields; arena; chunk
 * answer: i32 bytes of scratch, of chunk (or -1), ticks; arena
 */
#include <string.h>

#include "bed.h"
#include "edge_kernels.h"

enum { HEAD = 4, FIELDS = 24, GUARD = 16 };

struct sheet {
    int8_t *arena;
    const uint8_t *chunk;
    const int32_t *at;
};

static int32_t number(struct sheet *sheet) {
    return *sheet->at++;
}

static int8_t *place(struct sheet *sheet) {
    return sheet->arena + number(sheet);
}

static struct edge_conv conv(struct sheet *sheet) {
    struct edge_conv op = {.in = place(sheet), .out = place(sheet), .chunk = sheet->chunk};
    op.in_h = (uint16_t)number(sheet), op.in_w = (uint16_t)number(sheet), op.in_c = (uint16_t)number(sheet);
    op.out_h = (uint16_t)number(sheet), op.out_w = (uint16_t)number(sheet), op.out_c = (uint16_t)number(sheet);
    op.k_h = (uint8_t)number(sheet), op.k_w = (uint8_t)number(sheet);
    op.stride_h = (uint8_t)number(sheet), op.stride_w = (uint8_t)number(sheet);
    op.dilation_h = (uint8_t)number(sheet), op.dilation_w = (uint8_t)number(sheet);
    op.pad_top = (uint8_t)number(sheet), op.pad_left = (uint8_t)number(sheet);
    op.zero_in = (int8_t)number(sheet), op.zero_out = (int8_t)number(sheet);
    op.low = (int8_t)number(sheet), op.high = (int8_t)number(sheet);
    op.groups = (uint16_t)number(sheet);
    return op;
}

static struct edge_dense dense(struct sheet *sheet) {
    struct edge_dense op = {.in = place(sheet), .out = place(sheet), .chunk = sheet->chunk};
    op.rows = (uint32_t)number(sheet), op.in_n = (uint16_t)number(sheet), op.out_n = (uint16_t)number(sheet);
    op.zero_in = (int8_t)number(sheet), op.zero_out = (int8_t)number(sheet);
    op.low = (int8_t)number(sheet), op.high = (int8_t)number(sheet);
    return op;
}

/* The second operand lies in the chunk where its offset is -1. */
static const int8_t *second(struct sheet *sheet) {
    const int32_t at = number(sheet);
    return at < 0 ? (const int8_t *)sheet->chunk : sheet->arena + at;
}

static struct edge_add add(struct sheet *sheet) {
    struct edge_add op = {.a = place(sheet), .b = second(sheet), .out = place(sheet)};
    op.n = (uint32_t)number(sheet), op.n_b = (uint32_t)number(sheet);
    op.m_a = number(sheet), op.m_b = number(sheet), op.m_out = number(sheet);
    op.s_a = (int8_t)number(sheet), op.s_b = (int8_t)number(sheet), op.s_out = (int8_t)number(sheet);
    op.zero_a = (int8_t)number(sheet), op.zero_b = (int8_t)number(sheet), op.zero_out = (int8_t)number(sheet);
    op.low = (int8_t)number(sheet), op.high = (int8_t)number(sheet);
    return op;
}

static struct edge_mul mul(struct sheet *sheet) {
    struct edge_mul op = {.a = place(sheet), .b = second(sheet), .out = place(sheet)};
    op.n = (uint32_t)number(sheet), op.n_b = (uint32_t)number(sheet);
    op.m_out = number(sheet), op.s_out = (int8_t)number(sheet);
    op.zero_a = (int8_t)number(sheet), op.zero_b = (int8_t)number(sheet), op.zero_out = (int8_t)number(sheet);
    op.low = (int8_t)number(sheet), op.high = (int8_t)number(sheet);
    return op;
}

static struct edge_pool pool(struct sheet *sheet) {
    struct edge_pool op = {.in = place(sheet), .out = place(sheet), .chunk = sheet->chunk};
    op.in_h = (uint16_t)number(sheet), op.in_w = (uint16_t)number(sheet), op.c = (uint16_t)number(sheet);
    op.out_h = (uint16_t)number(sheet), op.out_w = (uint16_t)number(sheet);
    op.k_h = (uint8_t)number(sheet), op.k_w = (uint8_t)number(sheet);
    op.stride_h = (uint8_t)number(sheet), op.stride_w = (uint8_t)number(sheet);
    op.pad_top = (uint8_t)number(sheet), op.pad_left = (uint8_t)number(sheet);
    op.whole = (uint8_t)number(sheet), op.zero_in = (int8_t)number(sheet), op.zero_out = (int8_t)number(sheet);
    op.low = (int8_t)number(sheet), op.high = (int8_t)number(sheet);
    return op;
}

static struct edge_softmax softmax(struct sheet *sheet) {
    struct edge_softmax op = {.in = place(sheet), .out = place(sheet)};
    op.rows = (uint32_t)number(sheet), op.n = (uint16_t)number(sheet);
    op.m = number(sheet), op.s = (int8_t)number(sheet), op.least = number(sheet);
    return op;
}

static struct edge_move move(struct sheet *sheet) {
    struct edge_move op = {.in = place(sheet), .out = place(sheet), .chunk = sheet->chunk};
    op.run = (uint32_t)number(sheet);
    for (int i = 0; i < 4; ++i)
        op.count[i] = (uint16_t)number(sheet);
    for (int i = 0; i < 4; ++i)
        op.step_in[i] = number(sheet);
    for (int i = 0; i < 4; ++i)
        op.step_out[i] = number(sheet);
    return op;
}

/* Runs one operator between two readings of the clock. */
#define TIMED(run)                          \
    do {                                    \
        const uint32_t begin = bed_ticks(); \
        run;                                \
        answer[2] = (int32_t)(bed_ticks() - begin); \
    } while (0)

static void windowed(int32_t code, struct sheet *sheet, int32_t answer[3]) {
    struct edge_conv op = conv(sheet);
    const size_t scratch = code == 1 ? edge_conv_scratch(&op) : edge_depthwise_scratch(&op);
    op.scratch = bed_allocate(scratch);
    memset(op.scratch, 0xA5, scratch);
    answer[0] = (int32_t)scratch;
    answer[1] = (int32_t)(code == 1 ? edge_conv_chunk_bytes(&op) : edge_depthwise_chunk_bytes(&op));
    if (code == 1)
        TIMED(edge_conv_run(&op));
    else
        TIMED(edge_depthwise_run(&op));
}

static void scaled(int32_t code, struct sheet *sheet, int32_t answer[3]) {
    if (code == 3) {
        struct edge_dense op = dense(sheet);
        answer[0] = (int32_t)edge_dense_scratch(&op), answer[1] = (int32_t)edge_dense_chunk_bytes(&op);
        TIMED(edge_dense_run(&op));
    } else if (code == 4) {
        const struct edge_add op = add(sheet);
        TIMED(edge_add_run(&op));
    } else {
        const struct edge_mul op = mul(sheet);
        TIMED(edge_mul_run(&op));
    }
}

static void other(int32_t code, struct sheet *sheet, int32_t answer[3]) {
    if (code == 6) {
        const struct edge_pool op = pool(sheet);
        answer[1] = op.chunk ? (int32_t)edge_average_chunk_bytes(&op) : -1;
        TIMED(edge_average_run(&op));
    } else if (code == 7) {
        const struct edge_pool op = pool(sheet);
        TIMED(edge_maximum_run(&op));
    } else if (code == 8) {
        struct edge_map op = {.in = place(sheet), .out = place(sheet), .chunk = sheet->chunk};
        op.n = (uint32_t)number(sheet);
        TIMED(edge_map_run(&op));
    } else if (code == 9) {
        const struct edge_softmax op = softmax(sheet);
        TIMED(edge_softmax_run(&op));
    } else if (code == 10) {
        const struct edge_move op = move(sheet);
        TIMED(edge_move_run(&op));
    } else {
        struct edge_fill op = {.out = place(sheet)};
        op.n = (uint32_t)number(sheet), op.value = (int8_t)number(sheet);
        TIMED(edge_fill_run(&op));
    }
}

int bed_main(void) {
    int32_t head[HEAD], fields[FIELDS];
    while (bed_read(head, sizeof head)) {
        int32_t answer[3] = {0, -1, 0};
        const size_t arena_bytes = (size_t)head[2], chunk_bytes = (size_t)head[3];
        struct sheet sheet = {.arena = bed_allocate(arena_bytes), .at = fields};
        uint8_t *const chunk = chunk_bytes ? bed_allocate(chunk_bytes) : NULL;
        bed_read(fields, (size_t)head[1] * sizeof *fields);
        bed_read(sheet.arena, arena_bytes);
        bed_read(chunk, chunk_bytes);
        sheet.chunk = chunk;
        if (head[0] <= 2)
            windowed(head[0], &sheet, answer);
        else if (head[0] <= 5)
            scaled(head[0], &sheet, answer);
        else
            other(head[0], &sheet, answer);
        bed_write(answer, sizeof answer);
        bed_write(sheet.arena, arena_bytes);
        bed_release();
    }
    return 0;
}
