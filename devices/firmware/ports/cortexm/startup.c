/* What happens before main: the vectors, the painted stack, data and bss; and where the linker put things. */

#include <stdint.h>

#include "edge_memory_map.h"
#include "edge_port.h"

extern uint32_t edge_stack_begin[], edge_stack_end[], edge_data_begin[], edge_data_end[], edge_bss_begin[], edge_bss_end[];
extern const uint32_t edge_data_from[], edge_weights_begin[], edge_flash_begin[], edge_flash_end[];
extern uint8_t edge_pool_begin[], edge_pool_end[];

int main(void);
void edge_reset(void);
void edge_port_interrupt(void);

enum { BELOW_STACK_POINTER = 16 };

static uint32_t boots __attribute__((section(".kept")));

static uint32_t between(const volatile void *begin, const volatile void *end)
{
    return (uint32_t)((uintptr_t)end - (uintptr_t)begin);
}

static void fault(void)
{
    edge_port_reset();
}

void edge_reset(void)
{
    uint32_t *top = (uint32_t *)__builtin_frame_address(0) - BELOW_STACK_POINTER;
    for (volatile uint32_t *word = edge_stack_begin; word < top; word++) {
        *word = EDGE_PAINT;
    }
    const uint32_t *from = edge_data_from;
    for (volatile uint32_t *word = edge_data_begin; word < edge_data_end; word++) {
        *word = *from++;
    }
    for (volatile uint32_t *word = edge_bss_begin; word < edge_bss_end; word++) {
        *word = 0;
    }
    boots++;
    (void)main();
    fault();
}

typedef void (*vector)(void);

#define EIGHT edge_port_interrupt, edge_port_interrupt, edge_port_interrupt, edge_port_interrupt, \
              edge_port_interrupt, edge_port_interrupt, edge_port_interrupt, edge_port_interrupt

/* After the stack pointer, which the linker script puts first: 15 of the core, then those of the chip. */
__attribute__((section(".vectors"), used)) static const vector VECTORS[] = {
    edge_reset, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault,
    EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT,
};

void edge_memory_map(struct edge_board *board)
{
    board->pool = edge_pool_begin;
    board->pool_bytes = between(edge_pool_begin, edge_pool_end);
    board->flash = (const uint8_t *)edge_weights_begin;
    board->flash_bytes = between(edge_weights_begin, edge_flash_end);
    board->stack = edge_stack_begin;
    board->stack_bytes = between(edge_stack_begin, edge_stack_end);
    board->data_bytes = between(edge_data_begin, edge_data_end);
    board->bss_bytes = between(edge_bss_begin, edge_bss_end);
    board->text_bytes = between(edge_flash_begin, edge_weights_begin);
}

uint32_t edge_boots(void)
{
    return boots;
}
