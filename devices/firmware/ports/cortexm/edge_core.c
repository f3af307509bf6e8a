#include "edge_core.h"

#include "edge_port.h"

#define AIRCR EDGE_REGISTER(0xE000ED0CU)
#define DEMCR EDGE_REGISTER(0xE000EDFCU)
#define DWT_CTRL EDGE_REGISTER(0xE0001000U)
#define DWT_CYCCNT EDGE_REGISTER(0xE0001004U)
#define DWT_LAR EDGE_REGISTER(0xE0001FB0U)
#define NVIC_ISER(n) EDGE_REGISTER(0xE000E100U + 4U * (n))

enum { RING_BYTES = 1024, RING_MASK = RING_BYTES - 1 };
#define RESET_KEY 0x05FA0004U
#define DWT_KEY 0xC5ACCE55U
#define TRACE_ENABLE (1U << 24)

static volatile uint8_t ring[RING_BYTES];
static volatile uint32_t put, got, lost;

void edge_interrupt_enable(uint32_t number)
{
    NVIC_ISER(number / 32U) = 1U << (number % 32U);
}

int edge_cycles_start(void)
{
    DEMCR |= TRACE_ENABLE;
    DWT_LAR = DWT_KEY; /* a Cortex-M7 has it locked */
    DWT_CYCCNT = 0;
    DWT_CTRL |= 1U;
    uint32_t before = DWT_CYCCNT;
    for (volatile int i = 0; i < 16; i++) {
    }
    return (DWT_CTRL & 1U) != 0 && DWT_CYCCNT != before;
}

uint32_t edge_cycles(void)
{
    return DWT_CYCCNT;
}

void edge_ring_put(uint8_t byte)
{
    if (put - got == RING_BYTES) {
        lost++;
        return;
    }
    ring[put & RING_MASK] = byte;
    put++;
}

void edge_ring_lose(void)
{
    lost++;
}

uint32_t edge_port_lost(void)
{
    return lost;
}

int edge_port_read(void)
{
    if (put == got) {
        return -1;
    }
    int byte = ring[got & RING_MASK];
    got++;
    return byte;
}

void edge_port_wait(void)
{
    __asm volatile("cpsid i" ::: "memory"); /* an interrupt between look and sleep still wakes it */
    if (put == got) {
        __asm volatile("dsb\n wfi" ::: "memory");
    }
    __asm volatile("cpsie i" ::: "memory");
}

void edge_port_reset(void)
{
    __asm volatile("dsb" ::: "memory");
    AIRCR = RESET_KEY;
    for (;;) {
    }
}
