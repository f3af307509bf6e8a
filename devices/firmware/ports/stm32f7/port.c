/* STM32F746: 216 MHz from its internal oscillator, caches, USART 1 at PA9 (to the host) and PB7, the cycle counter.

   It compiles and links; it has not run on a board yet. */

#include "edge_core.h"
#include "edge_port.h"

#define RCC_CR EDGE_REGISTER(0x40023800U)
#define RCC_PLL EDGE_REGISTER(0x40023804U)
#define RCC_CFGR EDGE_REGISTER(0x40023808U)
#define RCC_AHB1 EDGE_REGISTER(0x40023830U)
#define RCC_APB1 EDGE_REGISTER(0x40023840U)
#define RCC_APB2 EDGE_REGISTER(0x40023844U)
#define FLASH_ACR EDGE_REGISTER(0x40023C00U)
#define PWR_CR1 EDGE_REGISTER(0x40007000U)
#define PWR_CSR1 EDGE_REGISTER(0x40007004U)
#define GPIOA_MODE EDGE_REGISTER(0x40020000U)
#define GPIOA_AFRH EDGE_REGISTER(0x40020024U)
#define GPIOB_MODE EDGE_REGISTER(0x40020400U)
#define GPIOB_AFRL EDGE_REGISTER(0x40020420U)
#define USART_CR1 EDGE_REGISTER(0x40011000U)
#define USART_BRR EDGE_REGISTER(0x4001100CU)
#define USART_ISR EDGE_REGISTER(0x4001101CU)
#define USART_ICR EDGE_REGISTER(0x40011020U)
#define USART_RDR EDGE_REGISTER(0x40011024U)
#define USART_TDR EDGE_REGISTER(0x40011028U)
#define SCB_CCR EDGE_REGISTER(0xE000ED14U)
#define SCB_CCSIDR EDGE_REGISTER(0xE000ED80U)
#define SCB_CSSELR EDGE_REGISTER(0xE000ED84U)
#define SCB_ICIALLU EDGE_REGISTER(0xE000EF50U)
#define SCB_DCISW EDGE_REGISTER(0xE000EF60U)

#define PLL_ON (1U << 24)
#define PLL_READY (1U << 25)
#define OVERDRIVE (1U << 16)
#define OVERDRIVE_SWITCH (1U << 17)
/* 16 MHz / 16 * 432 / 2; the other output, for USB, / 9 */
#define PLL_FACTORS (16U | 432U << 6 | 0U << 16 | 9U << 24)
#define BUSES (5U << 10 | 4U << 13) /* APB1 a quarter, APB2 a half */
#define FLASH_WAITS (7U | 1U << 8 | 1U << 9)
#define BARRIER __asm volatile("dsb\n isb" ::: "memory")

enum { CLOCK_HZ = 216000000, BAUD = 115200 };
enum { OVERRUN = 1 << 3, RECEIVED = 1 << 5, EMPTY = 1 << 7 };
enum { USART_ON = 1, RECEIVER = 1 << 2, TRANSMITTER = 1 << 3, ON_RECEIVED = 1 << 5, USART_NUMBER = 37 };
enum { UID_AT = 0x1FF0F420, UID_BYTES = 12 };

void edge_port_interrupt(void);

static void set_clock(void)
{
    RCC_APB1 |= 1U << 28;
    RCC_PLL = PLL_FACTORS;
    RCC_CR |= PLL_ON;
    PWR_CR1 |= OVERDRIVE;
    while (!(PWR_CSR1 & OVERDRIVE)) {
    }
    PWR_CR1 |= OVERDRIVE_SWITCH;
    while (!(PWR_CSR1 & OVERDRIVE_SWITCH)) {
    }
    FLASH_ACR = FLASH_WAITS;
    while (!(RCC_CR & PLL_READY)) {
    }
    RCC_CFGR = BUSES;
    RCC_CFGR = BUSES | 2U;
    while ((RCC_CFGR >> 2 & 3U) != 2U) {
    }
}

/* Caches come up with anything in them: they are emptied, line by line, before they are used. */
static void start_caches(void)
{
    SCB_CSSELR = 0;
    BARRIER;
    uint32_t sets = SCB_CCSIDR >> 13 & 0x7FFFU, ways = SCB_CCSIDR >> 3 & 0x3FFU;
    for (uint32_t set = 0; set <= sets; set++) {
        for (uint32_t way = 0; way <= ways; way++) {
            SCB_DCISW = set << 5 | way << 30;
        }
    }
    SCB_ICIALLU = 0;
    BARRIER;
    SCB_CCR |= 1U << 16 | 1U << 17;
    BARRIER;
}

struct edge_port_facts edge_port_open(void)
{
    set_clock();
    start_caches();
    RCC_AHB1 |= 3U;
    RCC_APB2 |= 1U << 4;
    GPIOA_MODE = (GPIOA_MODE & ~(3U << 18)) | 2U << 18;
    GPIOA_AFRH = (GPIOA_AFRH & ~(15U << 4)) | 7U << 4;
    GPIOB_MODE = (GPIOB_MODE & ~(3U << 14)) | 2U << 14;
    GPIOB_AFRL = (GPIOB_AFRL & ~(15U << 28)) | 7U << 28;
    USART_BRR = CLOCK_HZ / 2 / BAUD;
    USART_CR1 = USART_ON | TRANSMITTER | RECEIVER | ON_RECEIVED;
    edge_interrupt_enable(USART_NUMBER);
    (void)edge_cycles_start();
    return (struct edge_port_facts){CLOCK_HZ, 1, 1, 1, (const uint8_t *)(uintptr_t)UID_AT, UID_BYTES};
}

void edge_port_interrupt(void)
{
    uint32_t state;
    while ((state = USART_ISR) & (RECEIVED | OVERRUN)) {
        if (state & RECEIVED) {
            edge_ring_put((uint8_t)USART_RDR);
        }
        if (state & OVERRUN) {
            USART_ICR = OVERRUN;
            edge_ring_lose();
        }
    }
}

void edge_port_write(const uint8_t *data, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        while (!(USART_ISR & EMPTY)) {
        }
        USART_TDR = data[i];
    }
}

uint32_t edge_port_ticks(void)
{
    return edge_cycles();
}
