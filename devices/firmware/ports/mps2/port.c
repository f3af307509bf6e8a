/* Arm MPS2 with a Cortex-M3, M4 or M7: CMSDK UART 0 and timer 0. */

#include "edge_core.h"
#include "edge_port.h"

#define UART_DATA EDGE_REGISTER(0x40004000U)
#define UART_STATE EDGE_REGISTER(0x40004004U)
#define UART_CTRL EDGE_REGISTER(0x40004008U)
#define UART_CLEAR EDGE_REGISTER(0x4000400CU)
#define UART_DIVIDER EDGE_REGISTER(0x40004010U)
#define TIMER_CTRL EDGE_REGISTER(0x40000000U)
#define TIMER_VALUE EDGE_REGISTER(0x40000004U)
#define TIMER_RELOAD EDGE_REGISTER(0x40000008U)
#define MPU_CTRL EDGE_REGISTER(0xE000ED94U)
#define MPU_NUMBER EDGE_REGISTER(0xE000ED98U)
#define MPU_BASE EDGE_REGISTER(0xE000ED9CU)
#define MPU_SIZE EDGE_REGISTER(0xE000EDA0U)

enum { TX_FULL = 1, RX_FULL = 2, RX_OVERRUN = 8 };
enum { TX_ON = 1, RX_ON = 2, RX_INTERRUPT = 8 };
enum { RX_CLEAR = 2, UART_RX_NUMBER = 0 };
enum { CLOCK_HZ = 25000000, BAUD = 115200, UID_BYTES = 4 };

static int cycles;

void edge_port_interrupt(void);

/* Code memory of this board is RAM: make it refuse writes, those through a null pointer first. */
static void guard_code(void)
{
    MPU_NUMBER = 0;
    MPU_BASE = 0;
    MPU_SIZE = 6U << 24 | 21U << 1 | 1U; /* read only, 2 ** 22 bytes, on */
    MPU_CTRL = 4U | 1U;                  /* all else as without */
    __asm volatile("dsb\n isb" ::: "memory");
}

struct edge_port_facts edge_port_open(void)
{
    guard_code();
    TIMER_RELOAD = 0xFFFFFFFFU;
    TIMER_VALUE = 0xFFFFFFFFU;
    TIMER_CTRL = 1;
    cycles = edge_cycles_start();
    UART_DIVIDER = CLOCK_HZ / BAUD;
    UART_CTRL = TX_ON | RX_ON | RX_INTERRUPT;
    edge_interrupt_enable(UART_RX_NUMBER);
    const uint8_t *uid = (const uint8_t *)(uintptr_t)EDGE_UID_AT;
    if (cycles) {
        return (struct edge_port_facts){CLOCK_HZ, 1, 1, 1, uid, UID_BYTES};
    }
    /* instructions = ticks * 10 ** 9 / (clock * 2 ** shift) = ticks * 40 / 2 ** shift */
    return (struct edge_port_facts){CLOCK_HZ, 1000000000 / CLOCK_HZ, 1U << EDGE_SHIFT, 0, uid, UID_BYTES};
}

/* The register is emptied until its flag is clear, and looked at again after the interrupt was cleared: a byte that came between
   would otherwise wait for an interrupt that never comes. */
void edge_port_interrupt(void)
{
    do {
        while (UART_STATE & RX_FULL) {
            edge_ring_put((uint8_t)UART_DATA);
        }
        if (UART_STATE & RX_OVERRUN) {
            UART_STATE = RX_OVERRUN;
            edge_ring_lose();
        }
        UART_CLEAR = RX_CLEAR;
    } while (UART_STATE & RX_FULL);
}

void edge_port_write(const uint8_t *data, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        while (UART_STATE & TX_FULL) {
        }
        UART_DATA = data[i];
    }
}

uint32_t edge_port_ticks(void)
{
    return cycles ? edge_cycles() : ~TIMER_VALUE;
}
