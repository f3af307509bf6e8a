/* MOVE and FILL. */
#include <string.h>

#include "edge_kernels.h"

static void move_run(const struct edge_move *op, const int8_t *from, int8_t *to) {
    memmove(to, from, op->run);
    if (op->chunk != NULL)
        for (uint32_t i = 0; i < op->run; ++i)
            to[i] = ((const int8_t *)op->chunk + 128)[to[i]];
}

/* count[0] * count[1] * count[2] * count[3] runs, the last loop the innermost. */
void edge_move_run(const struct edge_move *op) {
    ptrdiff_t from_0 = 0, to_0 = 0;
    for (uint32_t i = 0; i < op->count[0]; ++i, from_0 += op->step_in[0], to_0 += op->step_out[0]) {
        ptrdiff_t from_1 = from_0, to_1 = to_0;
        for (uint32_t j = 0; j < op->count[1]; ++j, from_1 += op->step_in[1], to_1 += op->step_out[1]) {
            ptrdiff_t from_2 = from_1, to_2 = to_1;
            for (uint32_t k = 0; k < op->count[2]; ++k, from_2 += op->step_in[2], to_2 += op->step_out[2]) {
                ptrdiff_t from_3 = from_2, to_3 = to_2;
                for (uint32_t l = 0; l < op->count[3]; ++l, from_3 += op->step_in[3], to_3 += op->step_out[3])
                    move_run(op, op->in + from_3, op->out + to_3);
            }
        }
    }
}

void edge_fill_run(const struct edge_fill *op) {
    memset(op->out, op->value, op->n);
}
