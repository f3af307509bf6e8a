/* STM32F405: 168 MHz from its internal oscillator, USART 1 at PA9 (to the host) and PA10, the cycle counter, else timer 2. */

#include "edge_core.h"
#include "edge_port.h"

#define RCC_CR EDGE_REGISTER(0x40023800U)
#define RCC_PLL EDGE_REGISTER(0x40023804U)
#define RCC_CFGR EDGE_REGISTER(0x40023808U)
#define RCC_AHB1 EDGE_REGISTER(0x40023830U)
#define RCC_APB1 EDGE_REGISTER(0x40023840U)
#define RCC_APB2 EDGE_REGISTER(0x40023844U)
#define FLASH_ACR EDGE_REGISTER(0x40023C00U)
#define GPIOA_MODE EDGE_REGISTER(0x40020000U)
#define GPIOA_AFRH EDGE_REGISTER(0x40020024U)
#define USART_SR EDGE_REGISTER(0x40011000U)
#define USART_DR EDGE_REGISTER(0x40011004U)
#define USART_BRR EDGE_REGISTER(0x40011008U)
#define USART_CR1 EDGE_REGISTER(0x4001100CU)
#define TIM2_CR1 EDGE_REGISTER(0x40000000U)
#define TIM2_EGR EDGE_REGISTER(0x40000014U)
#define TIM2_CNT EDGE_REGISTER(0x40000024U)
#define TIM2_ARR EDGE_REGISTER(0x4000002CU)

#define PLL_ON (1U << 24)
#define PLL_READY (1U << 25)
/* 16 MHz / 16 * 336 / 2; the other output, for USB, / 7 */
#define PLL_FACTORS (16U | 336U << 6 | 0U << 16 | 7U << 24)
#define BUSES (5U << 10 | 4U << 13) /* APB1 a quarter, APB2 a half */
#define FLASH_WAITS (5U | 1U << 8 | 1U << 9 | 1U << 10)

enum { PATIENCE = 10000, SLOW_HZ = 16000000, FAST_HZ = 168000000, BAUD = 115200 };
enum { OVERRUN = 1 << 3, RECEIVED = 1 << 5, EMPTY = 1 << 7 };
enum { RECEIVER = 1 << 2, TRANSMITTER = 1 << 3, ON_RECEIVED = 1 << 5, USART_ON = 1 << 13, USART_NUMBER = 37 };
enum { UID_AT = 0x1FFF7A10, UID_BYTES = 12, EMULATED_UID_BYTES = 4 };

/* Where there is no cycle counter, an emulator runs this, whose timer 2 counts nanoseconds. */
enum { TIMER_NANOSECONDS = 1 };

static int cycles;

void edge_port_interrupt(void);

/* The clock that runs then; an emulator has no PLL. */
static uint32_t set_clock(void)
{
    RCC_PLL = PLL_FACTORS;
    RCC_CR |= PLL_ON;
    for (int i = 0; i < PATIENCE && !(RCC_CR & PLL_READY); i++) {
    }
    if (!(RCC_CR & PLL_READY)) {
        return SLOW_HZ;
    }
    FLASH_ACR = FLASH_WAITS;
    RCC_CFGR = BUSES;
    RCC_CFGR = BUSES | 2U;
    while ((RCC_CFGR >> 2 & 3U) != 2U) {
    }
    return FAST_HZ;
}

struct edge_port_facts edge_port_open(void)
{
    uint32_t hz = set_clock();
    RCC_AHB1 |= 1U;
    RCC_APB1 |= 1U;
    RCC_APB2 |= 1U << 4;
    GPIOA_MODE = (GPIOA_MODE & ~(15U << 18)) | 10U << 18;
    GPIOA_AFRH = (GPIOA_AFRH & ~(255U << 4)) | 0x77U << 4;
    USART_BRR = (hz == FAST_HZ ? hz / 2U : hz) / BAUD;
    USART_CR1 = USART_ON | TRANSMITTER | RECEIVER | ON_RECEIVED;
    edge_interrupt_enable(USART_NUMBER);
    cycles = edge_cycles_start();
    if (cycles) {
        return (struct edge_port_facts){hz, 1, 1, 1, (const uint8_t *)(uintptr_t)UID_AT, UID_BYTES};
    }
    TIM2_ARR = 0xFFFFFFFFU;
    TIM2_EGR = 1;
    TIM2_CR1 = 1;
    return (struct edge_port_facts){hz, TIMER_NANOSECONDS, 1U << EDGE_SHIFT, 0, (const uint8_t *)(uintptr_t)EDGE_UID_AT, EMULATED_UID_BYTES};
}

/* Reading the data clears both flags; a byte that comes meanwhile sets them again. */
void edge_port_interrupt(void)
{
    uint32_t state;
    while ((state = USART_SR) & (RECEIVED | OVERRUN)) {
        uint8_t byte = (uint8_t)USART_DR;
        if (state & RECEIVED) {
            edge_ring_put(byte);
        }
        if (state & OVERRUN) {
            edge_ring_lose();
        }
    }
}

void edge_port_write(const uint8_t *data, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        while (!(USART_SR & EMPTY)) {
        }
        USART_DR = data[i];
    }
}

uint32_t edge_port_ticks(void)
{
    return cycles ? edge_cycles() : TIM2_CNT;
}
