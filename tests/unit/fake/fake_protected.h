/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A hypervisor that launches a bundle as a protected VM through the real nested VMX code, on the fake host's two CPUs,
 * and a guest whose every register holds a secret. After each entry of a protected vCPU, what must hold of its VMCS
 * and of everybody's memory is checked; a violation aborts.
 *
 * Guest page p lies at PVM_FRAME(p) in the host's RAM; EPT12(0) maps all of the guest's RAM there.
 */
#ifndef TESTS_UNIT_FAKE_PROTECTED_H
#define TESTS_UNIT_FAKE_PROTECTED_H

#include "fake_host.h"
#include "fake_vm.h"

#define PVM_FRAME(gpa) (UINT64_C(0x2000000) + ((gpa) >= BUNDLE_HIGH ? (gpa)-BUNDLE_HIGH + 0x900000 : (gpa)))
#define PVM_SECRET     UINT64_C(0x5ec25ec25ec25ec2)
#define PVM_EPTP       (HOST_EPT12(0) | 0x5e)

extern struct bundle_descriptor pvm_descriptor; /* what pvm_start_host puts into memory */
extern struct fake_ept12 pvm_ept12;

/* Both CPUs in VMX operation, vmcs12 0 on CPU 0 ready for VMLAUNCH. `flags`: BUNDLE_FLAG_*. */
void pvm_start_host(bool shadowing, uint32_t flags);

/* vmcs12 `i`, current and ready for VMLAUNCH: the VM in 64-bit kernel mode, with the guest's EPT12. */
void pvm_prepare_vmcs(unsigned i);
bool pvm_try_prepare_vmcs(unsigned i); /* false if it is not this CPU's to have */

/* The plain VM on the current vmcs12 (in 64-bit kernel mode) makes a call. */
struct outcome pvm_call(uint64_t rax, uint64_t rbx, uint64_t rcx);

/* All of it: the plain VM runs and calls, the host resumes until the protected VM is entered. Its VM. */
struct vm *pvm_launch(void);

/* The second vCPU: the guest starts it at `vector`; the host brings it with vmcs12 1 on the CPU that runs. */
struct outcome pvm_guest_starts_second(uint8_t vector);
struct outcome pvm_bring_second(void);

/* Every register of the running guest gets the secret, but for modes; RIP is at the bundle's entry point. */
void pvm_fill_secrets(void);

/* The running vCPU exits, after an instruction of 3 bytes. */
struct outcome pvm_exits(uint32_t reason, uint64_t qualification);

/* INVD and WBINVD in root mode do nothing from here on, in this test. */
void pvm_allow_wbinvd(void);

/* What the host has in registers that no VMCS switches. */
struct pvm_hardware {
    uint64_t msr[VM_MSR_COUNT], cr2, dr[4], dr6, xcr0;
    struct fake_vectors vectors;
};
struct pvm_hardware pvm_hardware(void);
extern const uint32_t pvm_msrs[VM_MSR_COUNT];

#endif
