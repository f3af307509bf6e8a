#include "edge_output.h"

void edge_write4_exact(const int32_t *acc, uint32_t step, const struct edge_scale *scale, int8_t *out,
                       const struct edge_places *places) {
    const int32_t shift = scale->shift < -31 ? scale->shift + 64 : scale->shift;
    for (uint32_t i = 4; i-- > 0;) {
        const int32_t x = edge_scaled(acc[i * step], scale->m, shift);
        out[i == 0 ? 0 : places->at[i - 1]] = edge_number(x, places->zero2 >> 1, -128, 127);
    }
}

void edge_clamp(int8_t *out, uint32_t n, int8_t low, int8_t high) {
    if (low == -128 && high == 127)
        return;
    for (uint32_t i = 0; i < n; ++i)
        out[i] = (int8_t)edge_clamped(out[i], low, high);
}
