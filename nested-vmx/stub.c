#include "nested-vmx/nested.h"
bool nested_init(void) { return true; }
#include "cloudvisor/vmcs01.h"
void nested_instruction(struct cpu *cpu, uint32_t reason) { (void)cpu; (void)reason; host_inject_ud(); }
void nested_exit(struct cpu *cpu, uint32_t reason) { (void)cpu; (void)reason; }
void nested_entry_refused(struct cpu *cpu) { (void)cpu; }
void nested_deliver_nmi(struct cpu *cpu) { host_inject_nmi(cpu); }
void nested_frame_written(hpa_t a) { (void)a; }
bool nested_shadowing(void) { return false; }
