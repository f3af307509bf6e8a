/* The bed on QEMU's mps2 boards: files by semihosting, time by the CMSDK timer, memory from PSRAM. */
#include "bed.h"

extern uint32_t bed_stack[], bed_data_from[], bed_data[], bed_data_end[], bed_bss[], bed_bss_end[];
extern uint8_t bed_heap[];

enum { SYS_OPEN = 1, SYS_CLOSE = 2, SYS_WRITE = 5, SYS_READ = 6, SYS_EXIT_EXTENDED = 0x20, STOPPED = 0x20026 };
#define TIMER ((volatile uint32_t *)0x40000000u) /* CTRL, VALUE, RELOAD; counts down */

static uint8_t *top = bed_heap;
static uint32_t cases, answers;

static uint32_t call(uint32_t number, const uint32_t *block) {
    register uint32_t r0 __asm__("r0") = number;
    register const uint32_t *r1 __asm__("r1") = block;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static uint32_t opened(const char *name, uint32_t length, uint32_t mode) {
    const uint32_t block[] = {(uint32_t)name, mode, length};
    return call(SYS_OPEN, block);
}

int bed_read(void *to, size_t n) {
    const uint32_t block[] = {cases, (uint32_t)to, n};
    return n == 0 || call(SYS_READ, block) == 0;
}

void bed_write(const void *from, size_t n) {
    const uint32_t block[] = {answers, (uint32_t)from, n};
    call(SYS_WRITE, block);
}

void *bed_allocate(size_t n) {
    void *const result = top;
    top += (n + 7) & ~(size_t)7;
    return result;
}

void bed_release(void) {
    top = bed_heap;
}

uint32_t bed_ticks(void) {
    return 0u - TIMER[1];
}

static void stop(uint32_t code) {
    const uint32_t block[] = {STOPPED, code};
    call(SYS_EXIT_EXTENDED, block);
    for (;;) {
    }
}

static void reset(void) {
    for (uint32_t *to = bed_data, *from = bed_data_from; to < bed_data_end;)
        *to++ = *from++;
    for (uint32_t *to = bed_bss; to < bed_bss_end;)
        *to++ = 0;
    TIMER[1] = TIMER[2] = 0xFFFFFFFFu;
    TIMER[0] = 1;
    cases = opened("cases", 5, 1);
    answers = opened("answers", 7, 5);
    const int code = bed_main();
    call(SYS_CLOSE, &answers);
    stop((uint32_t)code);
}

static void fault(void) {
    stop(2);
}

__attribute__((section(".vectors"), used)) static void (*const vectors[])(void) = {
    (void (*)(void))(uint32_t)bed_stack, reset, fault, fault, fault, fault, fault,
};
