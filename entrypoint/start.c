/* The entry of the static binary: a process that is to be the resident becomes it here, before the C library starts and
 * relocates; everything else goes on to the C library's own entry with the stack and registers that the kernel made.
 * Where the machine is none of these, main does it (and the Makefile leaves the entry as it is). */

#if defined(__x86_64__)
__asm__(".section .text.lockstep_start,\"ax\",@progbits\n"
        ".globl lockstep_start\n"
        ".hidden lockstep_start\n"
        ".type lockstep_start,@function\n"
        "lockstep_start:\n"
        "    xor %ebp,%ebp\n" /* the outermost frame */
        "    mov (%rsp),%rdi\n"
        "    lea 8(%rsp),%rsi\n"
        "    push %rdx\n" /* what the C library may find in it, and with the next line the stack aligned to 16 */
        "    sub $8,%rsp\n"
        "    call resident_start\n"
        "    add $8,%rsp\n"
        "    pop %rdx\n"
        "    jmp _start\n"
        ".size lockstep_start,.-lockstep_start\n"
        ".text\n");
#elif defined(__aarch64__)
__asm__(".section .text.lockstep_start,\"ax\",@progbits\n"
        ".globl lockstep_start\n"
        ".hidden lockstep_start\n"
        ".type lockstep_start,%function\n"
        "lockstep_start:\n"
        "    mov x29,#0\n" /* the outermost frame */
        "    mov x30,#0\n"
        "    ldr x0,[sp]\n"
        "    add x1,sp,#8\n"
        "    bl resident_start\n"
        "    mov x0,#0\n" /* as the kernel left it: no function to call at exit */
        "    b _start\n"
        ".size lockstep_start,.-lockstep_start\n"
        ".text\n");
#endif
