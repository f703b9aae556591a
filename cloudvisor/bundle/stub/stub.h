/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The stub runs in the guest before the launch, on the host's hardware, for the host to see and change: nothing
 * depends on what it does but that the VM starts. Memory is mapped one to one below 4 GiB.
 */
#ifndef STUB_H
#define STUB_H

#include <stdbool.h>
#include <stdint.h>
#include "cloudvisor/bundle/bundle_format.h"

static inline void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outw(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint32_t inl(uint16_t port)
{
    uint32_t value;

    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint32_t mmio_read(uint64_t address)
{
    uint32_t value;

    __asm__ volatile("movl (%1), %0" : "=a"(value) : "r"(address) : "memory");
    return value;
}

static inline void mmio_write(uint64_t address, uint32_t value)
{
    __asm__ volatile("movl %0, (%1)" : : "a"(value), "r"(address) : "memory");
}

static inline uint64_t read_msr(uint32_t msr)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static inline uint64_t read_cr0(void)
{
    uint64_t value;

    __asm__ volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}

static inline uint64_t read_cr4(void)
{
    uint64_t value;

    __asm__ volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

static inline void write_msr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

/* stub.c */
_Noreturn void stub_unexpected_exception(uint64_t vector);

/* quiet.c: stops everything that firmware may have left running, for machine type `machine`. */
void quiet_devices(uint32_t machine);

/* apic.c: masks and empties this processor's local APIC and enters x2APIC mode where the processor has it. */
void apic_quiet(void);

/* pci.c: resets virtio devices, takes the bus from every device, routes interrupts as the DSDT says. */
void pci_quiet(uint32_t machine);

#endif
